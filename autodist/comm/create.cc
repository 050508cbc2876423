#include "autodist/comm/create.h"

#include "autodist/comm/process_communicator.h"
#if AUTODIST_WITH_MPI
#include "autodist/comm/mpi_communicator.h"
#endif
#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

std::unique_ptr<Communicator> CreateOverMpi([[maybe_unused]] const LaunchInfo& launch,
                                            [[maybe_unused]] const CommOptions& options) {
#if AUTODIST_WITH_MPI
  return CreateMpiGroup(launch.rank, launch.world_size, options);
#else
  throw core::BadInput(
      "{} ranks were started by an MPI launcher, but this build has no MPI (AUTODIST_WITH_MPI)",
      launch.world_size);
#endif
}

}  // namespace

std::unique_ptr<Communicator> CreateCommunicator(const LaunchInfo& launch,
                                                 const CommOptions& options) {
  AUTODIST_CHECK(launch.launcher != Launcher::kNone);
  const bool one_host = launch.local_world_size == launch.world_size;
  // On one host mpirun is a launcher like others: MPI would bring nothing but its start-up time and
  // its own files.
  const bool needs_mpi = launch.launcher == Launcher::kMpi && (!one_host || launch.job.empty());
  if (needs_mpi) return CreateOverMpi(launch, options);
  if (!one_host) {
    throw core::BadInput(
        "{} of {} ranks are on this host: between hosts, start the ranks with mpirun",
        launch.local_world_size, launch.world_size);
  }
  const ParentRole role =
      launch.launcher == Launcher::kManual ? ParentRole::kLauncherIfSame : ParentRole::kLauncher;
  return CreateProcessGroup(launch.job, launch.rank, launch.world_size, options, role);
}

}  // namespace autodist::comm
