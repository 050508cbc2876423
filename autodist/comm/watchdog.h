// What notices that a process of the job, or its launcher, is gone, while this process computes or
// waits.
//
// A thread of every rank process. It aborts the job, which wakes every wait, when
//   - a connection to a peer ends although that rank has not left: it was killed, it crashed, or it
//   exited early,
//   - this process has lost its launcher.
// Whatever aborted the job, the process then has kGraceTime to unwind; what has not left by then is
// ended here with exit code 3. Peers that do not even do that (stopped ones: they run no watchdog)
// are killed: only processes that this job met at its rendezvous, by descriptor, never by name or
// group. It also gives this process's signs of life (job_memory.h).
#ifndef AUTODIST_COMM_WATCHDOG_H_
#define AUTODIST_COMM_WATCHDOG_H_

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "autodist/comm/job_memory.h"
#include "autodist/comm/rendezvous.h"
#include "autodist/core/unique_fd.h"

namespace autodist::comm {

// The process that started this one, seen from the moment of construction on.
class ParentWatch {
 public:
  ParentWatch() : parent_(::getppid()) {}
  bool lost() const { return ::getppid() != parent_; }
  pid_t parent() const { return parent_; }

 private:
  pid_t parent_;
};

class Watchdog {
 public:
  static constexpr std::chrono::milliseconds kGraceTime{1500};

  // `rank`: this process in `memory`; `world_rank`: in the whole job, for its lines.
  // `watch_parent`: the parent is the launcher, its end is the end of the job.
  Watchdog(std::shared_ptr<JobMemory> memory, int rank, int world_rank, std::vector<PeerLink> links,
           ParentWatch parent, bool watch_parent);
  // The rank has left. When the job was aborted, sees to it that the peers go, too.
  ~Watchdog();

 private:
  void Run();
  void LookAtLinks();
  void LookAtParent();
  [[noreturn]] void EndProcess();
  void EndPeers();

  const std::shared_ptr<JobMemory> memory_;
  const int rank_;
  const int world_rank_;
  std::vector<PeerLink> links_;  // of peers that have not left
  const ParentWatch parent_;
  const bool watch_parent_;
  const core::UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_WATCHDOG_H_
