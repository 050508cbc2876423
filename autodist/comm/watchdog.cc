#include "autodist/comm/watchdog.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPeriod{100};
// How long a rank that leaves an aborted job waits for its peers to go, before it kills them. Rank
// 0 looks after all others; they look after rank 0, and give it the time to do so first.
constexpr milliseconds kTimeForOthers{2300};
constexpr milliseconds kTimeForRankZero{3000};
// A rank that has given no sign of life for so long by then is stopped: there is nothing to wait
// for.
constexpr milliseconds kTimeToShowLife{1000};

}  // namespace

Watchdog::Watchdog(std::shared_ptr<JobMemory> memory, int rank, int world_rank,
                   std::vector<PeerLink> links, ParentWatch parent, bool watch_parent)
    : memory_(std::move(memory)),
      rank_(rank),
      world_rank_(world_rank),
      links_(std::move(links)),
      parent_(parent),
      watch_parent_(watch_parent),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (stop_.get() < 0)
    throw core::RuntimeFailure("the watch over other ranks cannot start: {}", std::strerror(errno));
  // Before the thread comes to it: from here on, silence means something.
  memory_->GiveSignOfLife(rank_);
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    throw core::RuntimeFailure("the watch over other ranks cannot start: {}", error.what());
  }
}

Watchdog::~Watchdog() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof(one));
  thread_.join();
  if (memory_->aborted()) EndPeers();
}

void Watchdog::Run() {
  core::SetLogRank(world_rank_);
  // Signals are for the threads of the program; SIGPIPE, too, when the launcher took our stderr
  // with it.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  Clock::time_point aborted_since = Clock::time_point::max();
  while (true) {
    memory_->GiveSignOfLife(rank_);
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
      memory_->Abort(core::PeerLost("rank {} (process {}) died or exited before the job was done",
                                    link->rank, link->pid));
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
  if (memory_->ClaimReport(rank_)) core::Log("error: {}", memory_->abort_reason().what());
  memory_->SetLeft(rank_);
  EndPeers();
  ::_exit(static_cast<int>(core::ErrorKind::kPeerLost));
}

void Watchdog::EndPeers() {
  // Rank 0 goes when the others have left, they go when rank 0 is gone: a launcher that reacts to
  // the first end of a rank would else end rank 0 before it has done its part.
  const auto gone = [&](const PeerLink& link) { return rank_ == 0 && memory_->left(link.rank); };
  const auto kill = [&](const PeerLink& link) {
    if (gone(link) || link.process.get() < 0) return;
    ::syscall(SYS_pidfd_send_signal, link.process.get(), SIGKILL, nullptr, 0);
  };
  std::vector<uint64_t> signs;
  for (int rank = 0; rank < memory_->ranks(); ++rank) signs.push_back(memory_->signs_of_life(rank));
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = start + (rank_ == 0 ? kTimeForOthers : kTimeForRankZero);
  bool stopped_ended = rank_ != 0;  // rank 0 itself, which now waits, gives no signs any more
  while (LookAtLinks(), !std::ranges::all_of(links_, gone)) {
    if (Clock::now() >= end) break;
    if (!stopped_ended && Clock::now() >= start + kTimeToShowLife) {
      stopped_ended = true;
      for (const PeerLink& link : links_)
        if (memory_->signs_of_life(link.rank) == signs[link.rank]) kill(link);
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  for (const PeerLink& link : links_) kill(link);
}

}  // namespace autodist::comm
