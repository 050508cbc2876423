// How the processes of a job on one host find each other and come to share a JobMemory.
//
// Rank 0 listens on a socket in Linux's abstract name space, whose name is made of the user and the
// job; the others connect, say who they are, and get the descriptor of an anonymous file. Nothing
// of this has a name in a file system, so nothing is left behind, whatever dies when. (A TCP port
// would not do: torchrun's own store occupies MASTER_PORT.) Connections of other users, and
// whatever does not speak this protocol, are dropped. The connections stay open: they end when a
// process ends, which is what the watchdog listens for.
#ifndef AUTODIST_COMM_RENDEZVOUS_H_
#define AUTODIST_COMM_RENDEZVOUS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/job_memory.h"
#include "autodist/core/unique_fd.h"

namespace autodist::comm {

// A peer process, as long as it lives.
struct PeerLink {
  int rank = 0;
  pid_t pid = 0;
  core::UniqueFd socket;   // ends with the process
  core::UniqueFd process;  // a pidfd; none where the kernel or a sandbox refuses it
};

struct HostJob {
  std::shared_ptr<JobMemory> memory;
  std::vector<PeerLink> links;  // of rank 0: to every other rank; of the others: to rank 0
  bool common_parent = false;   // all ranks are children of one process
};

// Collective over the processes 0 .. ranks-1 that give the same `job`. `look_around` is called
// every 100 ms or so and may throw. Throws, on every rank that could be reached: kPeerLost when not
// all came within the time-out (naming them), kBadInput when they contradict each other (rank given
// twice, different number of ranks or build).
HostJob MeetOnHost(const std::string& job, int rank, int ranks, const CommOptions& options,
                   const std::function<void()>& look_around);

// The name of the socket, without the leading NUL; for tests.
std::string RendezvousName(const std::string& job);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_RENDEZVOUS_H_
