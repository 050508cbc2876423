// The communicator of this process's job.
#ifndef AUTODIST_COMM_CREATE_H_
#define AUTODIST_COMM_CREATE_H_

#include <memory>

#include "autodist/comm/communicator.h"
#include "autodist/comm/launch.h"

namespace autodist::comm {

// Collective over the processes that a launcher started (REQUIRES launch.launcher is not kNone; ranks of an ordinary
// process are threads: thread_communicator.h). The ranks of one host share memory; MPI carries what goes between
// hosts. Call it early, from the main thread: what follows is watched, and a dead rank or launcher ends the job.
// Throws core::Error: kBadInput when the launcher's facts cannot be served (several hosts without MPI, a build without
// MPI, ranks that contradict each other), kPeerLost when not all ranks come in time.
std::unique_ptr<Communicator> CreateCommunicator(const LaunchInfo& launch, const CommOptions& options);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CREATE_H_
