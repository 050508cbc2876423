// The communicator of this process's job.
#ifndef AUTODIST_COMM_CREATE_H_
#define AUTODIST_COMM_CREATE_H_

#include <memory>

#include "autodist/comm/communicator.h"
#include "autodist/comm/launch.h"
#include "autodist/core/error.h"

namespace autodist::comm {

// A refusal that rank 0 sent to this rank: rank 0 has it too, and is the one to print it.
class ToldByRank0 : public core::Error {
 public:
  using core::Error::Error;
};

// Collective over the processes that a launcher started (REQUIRES launch.launcher is not kNone;
// ranks of an ordinary process are threads: thread_communicator.h). The ranks of one host share
// memory; MPI carries what goes between hosts. Call it early, from the main thread: what follows is
// watched, and a dead rank or launcher ends the job. Throws core::Error: kBadInput when the
// launcher's facts cannot be served (several hosts without MPI, a build without MPI, ranks that
// contradict each other), kPeerLost when not all ranks come in time; what rank 0 found out is
// ToldByRank0 on the others.
std::unique_ptr<Communicator> CreateCommunicator(const LaunchInfo& launch,
                                                 const CommOptions& options);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CREATE_H_
