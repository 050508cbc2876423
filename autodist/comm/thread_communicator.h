// Ranks that are threads of this process.
#ifndef AUTODIST_COMM_THREAD_COMMUNICATOR_H_
#define AUTODIST_COMM_THREAD_COMMUNICATOR_H_

#include <memory>
#include <vector>

#include "autodist/comm/communicator.h"

namespace autodist::comm {

// The communicators of a job of `ranks` threads, 1 <= ranks <= 256; hand the r-th to the thread of
// rank r. A rank thread that ends with an error calls Abort() with it, so that the others do not
// wait for it; one that merely destroys its communicator has left, and whoever waits for it gets
// kPeerLost. Throws core::Error (bad input) for more ranks.
std::vector<std::unique_ptr<Communicator>> CreateThreadGroup(int ranks,
                                                             const CommOptions& options = {});

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_THREAD_COMMUNICATOR_H_
