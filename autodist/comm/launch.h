// How this process was started, as its environment and flags tell.
//
// Sources, strongest first:
//   Open MPI   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE
//   MPICH      PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS
//   torchrun   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_PORT, TORCHELASTIC_RUN_ID
//   by hand    the same variables
//   flags      --local-rank, --world-size
//   Slurm      SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID of a step (srun)
// Slurm's are read only when no other source speaks: mpirun and torchrun run inside allocations
// whose variables then mean something else.
//
// Sources that speak must agree: a value that differs is refused with both names and values.
// Variables that are set but empty count as not set.
#ifndef AUTODIST_COMM_LAUNCH_H_
#define AUTODIST_COMM_LAUNCH_H_

#include <functional>
#include <optional>
#include <string>

namespace autodist::comm {

enum class Launcher {
  kNone,      // an ordinary process: ranks, if any, are its threads
  kTorchrun,  // an elastic agent started the ranks
  kManual,    // somebody set the variables or gave the flags
  kSlurm,
  kMpi,
};

struct LaunchInfo {
  Launcher launcher = Launcher::kNone;
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_world_size = 1;  // ranks on this host
  // What the ranks of this job have in common and other jobs of this user on this host do not; for
  // messages too. Empty when the environment does not tell: MPI itself must be asked.
  std::string job;
};

struct LaunchFlags {
  std::optional<int> local_rank;
  std::optional<int> world_size;
};

// Returns nullptr for a variable that is not set.
using Environment = std::function<const char*(const char* name)>;

// Throws kBadInput for values that are no numbers, out of range, incomplete or contradictory.
LaunchInfo DetectLaunch(const Environment& environment, const LaunchFlags& flags = {});

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_LAUNCH_H_
