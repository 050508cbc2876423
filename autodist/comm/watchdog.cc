#include "autodist/comm/watchdog.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstdint>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPeriod{100};
// How long a rank that leaves an aborted job waits for its peers to go. Rank 0 looks after all others; they look after
// rank 0, and give it the time to do so first.
constexpr milliseconds kPeerTime{3000};
constexpr milliseconds kRankZeroTime{4000};

}  // namespace

Watchdog::Watchdog(std::shared_ptr<JobMemory> memory, int rank, std::vector<PeerLink> links, ParentWatch parent,
                   bool watch_parent)
    : memory_(std::move(memory)),
      rank_(rank),
      links_(std::move(links)),
      parent_(parent),
      watch_parent_(watch_parent),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof(one));
  thread_.join();
  if (memory_->aborted()) EndPeers();
}

void Watchdog::Run() {
  core::SetLogRank(rank_);
  Clock::time_point aborted_since = Clock::time_point::max();
  while (true) {
    std::vector<pollfd> polls{{stop_.get(), POLLIN, 0}};
    for (const PeerLink& link : links_) polls.push_back({link.socket.get(), POLLIN, 0});
    ::poll(polls.data(), polls.size(), static_cast<int>(kPeriod.count()));
    if (polls[0].revents != 0) return;
    LookAtLinks();
    LookAtParent();
    if (!memory_->aborted()) continue;
    if (aborted_since == Clock::time_point::max()) aborted_since = Clock::now();
    if (Clock::now() - aborted_since >= kGraceTime) EndProcess();
  }
}

// Nothing is sent after the rendezvous: a connection that can be read has ended.
void Watchdog::LookAtLinks() {
  for (auto link = links_.begin(); link != links_.end();) {
    pollfd poll{link->socket.get(), POLLIN, 0};
    if (::poll(&poll, 1, 0) <= 0) {
      ++link;
      continue;
    }
    if (!memory_->left(link->rank)) {
      memory_->Abort(core::PeerLost("rank {} (process {}) died or exited before the job was done", link->rank,
                                    link->pid));
    }
    link = links_.erase(link);
  }
}

void Watchdog::LookAtParent() {
  if (watch_parent_ && parent_.lost()) {
    memory_->Abort(core::PeerLost("the launcher (process {}) died", parent_.parent()));
  }
}

void Watchdog::EndProcess() {
  if (memory_->ClaimReport()) core::Log("error: {}", memory_->abort_reason().what());
  EndPeers();
  ::_exit(static_cast<int>(core::ErrorKind::kPeerLost));
}

void Watchdog::EndPeers() {
  const Clock::time_point end = Clock::now() + (rank_ == 0 ? kPeerTime : kRankZeroTime);
  while (true) {
    LookAtLinks();
    std::erase_if(links_, [&](const PeerLink& link) { return memory_->left(link.rank); });
    if (links_.empty() || Clock::now() >= end) break;
    std::this_thread::sleep_for(milliseconds(10));
  }
  for (const PeerLink& link : links_) {
    if (link.process.get() >= 0) ::syscall(SYS_pidfd_send_signal, link.process.get(), SIGKILL, nullptr, 0);
  }
}

}  // namespace autodist::comm
