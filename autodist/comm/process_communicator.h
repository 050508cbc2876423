// Ranks that are processes of one host.
#ifndef AUTODIST_COMM_PROCESS_COMMUNICATOR_H_
#define AUTODIST_COMM_PROCESS_COMMUNICATOR_H_

#include <functional>
#include <memory>
#include <string>

#include "autodist/comm/communicator.h"
#include "autodist/comm/watchdog.h"

namespace autodist::comm {

// How far the parent process stands for the job.
enum class ParentRole {
  kLauncher,        // mpirun, torchrun, srun: its end is the end of the job
  kLauncherIfSame,  // started by hand: a launcher when all ranks have the same parent and hangups
                    // are not ignored
};

// Called when a rank has left its job, after its watchdog has stopped. `aborted`: the job has
// failed.
using OnLeave = std::function<void(bool aborted)>;

// Collective over the `ranks` processes of this user on this host that give the same `job`
// (rendezvous.h). While the communicator, or one split from it, exists, a watchdog ends the job
// when a rank or the launcher dies (watchdog.h). Throws core::Error when the ranks do not meet.
// `parent` was made as early as possible.
std::unique_ptr<Communicator> CreateProcessGroup(const std::string& job, int rank, int ranks,
                                                 const CommOptions& options, ParentRole role,
                                                 ParentWatch parent = {},
                                                 OnLeave on_leave = nullptr);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_PROCESS_COMMUNICATOR_H_
