#include "autodist/comm/group_member.h"

#include <fmt/ranges.h>
#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/device/topology.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;

// A sleeper looks around this often: for an aborted job, a peer that left, the end of its time.
constexpr std::chrono::milliseconds kMaxSleep{50};

void FutexSleep(std::atomic<int32_t>& word, int32_t while_value) {
  const timespec timeout{0, std::chrono::nanoseconds(kMaxSleep).count()};
  // EAGAIN, EINTR, ETIMEDOUT: the caller looks again in any case.
  ::syscall(SYS_futex, reinterpret_cast<int32_t*>(&word), FUTEX_WAIT, while_value, &timeout,
            nullptr, 0);
}

void FutexWake(std::atomic<int32_t>& word) {
  ::syscall(SYS_futex, reinterpret_cast<int32_t*>(&word), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

// During one wait: for how long each rank of the job has given no sign of life. Rank threads give
// none, and are not stopped one by one: they count as alive.
class Vigil {
 public:
  Vigil(const JobMemory& memory, double now_s) : memory_(memory), now_s_(now_s) {
    for (int rank = 0; rank < memory.ranks(); ++rank)
      last_.push_back({memory.signs_of_life(rank), now_s});
  }
  void Update(double now_s) {
    now_s_ = now_s;
    for (int rank = 0; rank < memory_.ranks(); ++rank) {
      const uint64_t signs = memory_.signs_of_life(rank);
      if (signs == 0 || signs != last_[rank].signs) last_[rank] = {signs, now_s};
    }
  }
  double silent_s(int rank) const { return now_s_ - last_[rank].seen_s; }
  // "; rank 3 has shown no sign of life for 30 s", of the ranks that are silent for so long.
  std::string SilentText(double shortest_s) const {
    std::string text;
    for (int rank = 0; rank < memory_.ranks(); ++rank) {
      if (silent_s(rank) < shortest_s || memory_.left(rank)) continue;
      text += fmt::format("; rank {} has shown no sign of life for {:.1f} s", rank, silent_s(rank));
    }
    return text;
  }

 private:
  struct Sign {
    uint64_t signs;
    double seen_s;
  };
  const JobMemory& memory_;
  double now_s_;
  std::vector<Sign> last_;
};

}  // namespace

JobRank::JobRank(std::shared_ptr<JobMemory> job_memory, int job_rank, CommOptions comm_options)
    : memory(std::move(job_memory)),
      rank(job_rank),
      options(comm_options),
      crowded(memory->ranks() > device::UsableCores()),
      heap(memory->heap(job_rank), memory->heap_bytes()) {
  AUTODIST_CHECK(options.collective_timeout_s > 0);
}

JobRank::~JobRank() { memory->SetLeft(rank); }

GroupMember::GroupMember(std::shared_ptr<JobRank> job, std::byte* block, int rank,
                         std::vector<int> members, std::string name)
    : job_(std::move(job)),
      memory_(block, static_cast<int>(members.size())),
      block_(block),
      rank_(rank),
      members_(std::move(members)),
      name_(std::move(name)) {}

GroupMember::~GroupMember() {
  memory_.seat(rank_).left.store(1);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank_) Wake(peer);
  }
  if (block_ != job_->memory->world_block()) RankHeap::Release(block_);
}

void GroupMember::Begin(const Call& call, std::optional<double> limit_s) {
  // Here, too: ranks that keep pace with each other never sleep, and would go on.
  if (job_->memory->aborted()) throw job_->memory->abort_reason();
  call_ = call;
  limit_s_ = limit_s;
  Seat& seat = memory_.seat(rank_);
  seat.calls.store(seat.calls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void GroupMember::Meet() {
  ++round_;
  Seat& own = memory_.seat(rank_);
  Seat::Record& record = own.records[round_ % 2];
  record.code.store(call_.Code(), std::memory_order_relaxed);
  record.elements.store(call_.elements, std::memory_order_relaxed);
  own.round.store(
      round_);  // sequentially consistent: ordered before the loads of sleeping_on in Wake()
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank_) Wake(peer);
  }
  for (int i = 1; i < size(); ++i) {
    // Starting behind oneself spreads the first reads of a round over all peers.
    const int peer = (rank_ + i) % size();
    const Seat& seat = memory_.seat(peer);
    WaitFor(
        peer, [&] { return seat.round.load(std::memory_order_acquire) >= round_; },
        [&] { return LateText(); }, limit_s_);
    CompareRecords(peer);
  }
}

void GroupMember::CompareRecords(int peer) {
  const Seat::Record& record = memory_.seat(peer).records[round_ % 2];
  const uint64_t code = record.code.load(std::memory_order_relaxed);
  const int64_t elements = record.elements.load(std::memory_order_relaxed);
  if (code == call_.Code() && elements == call_.elements) return;
  std::string mine = call_.Describe();
  std::string theirs = Call::FromCode(code, elements).Describe();
  // Worded alike on both sides.
  if (peer < rank_) std::swap(mine, theirs);
  Fail(core::RuntimeFailure(
      "collective #{} of group {} differs: rank {} called {}, rank {} called {}",
      memory_.seat(rank_).calls.load(), name_, members_[std::min(peer, rank_)], mine,
      members_[std::max(peer, rank_)], theirs));
}

void GroupMember::Wake(int peer) {
  std::atomic<int32_t>& sleeping_on = memory_.seat(peer).sleeping_on;
  int32_t me = rank_;
  if (sleeping_on.load() == me && sleeping_on.compare_exchange_strong(me, kAwake))
    FutexWake(sleeping_on);
}

void GroupMember::Relax(int turn) const {
  // The first polls are tight: the common wait is shorter than one pause instruction of recent
  // cores.
  if (turn < 64) return;
  if (job_->crowded && turn % 20 == 0) {
    ::sched_yield();  // the time is better spent by the rank that is waited for
  } else {
    _mm_pause();
  }
}

// The two flags are sequentially consistent, as is the abort: either this rank sees the abort and
// does not begin, or a peer that fails because of it sees this rank's visit and awaits its end.
void GroupMember::BeginVisit() {
  memory_.seat(rank_).visiting.store(1);
  if (!job_->memory->aborted()) return;
  EndVisit();
  throw job_->memory->abort_reason();
}

void GroupMember::EndVisit() { memory_.seat(rank_).visiting.store(0, std::memory_order_release); }

void GroupMember::AwaitVisitors() const {
  for (int peer = 0; peer < size(); ++peer) {
    while (peer != rank_ && memory_.seat(peer).visiting.load() != 0) ::sched_yield();
  }
}

bool GroupMember::Look(int peer, const std::function<bool()>& ready) {
  const bool left = memory_.seat(peer).left.load() !=
                    0;  // before ready(): what the peer did before it left counts
  if (ready()) return true;
  if (job_->memory->aborted()) throw job_->memory->abort_reason();
  if (left) {
    Fail(core::PeerLost("rank {} left group {} while rank {} still waits for it in {} #{}",
                        members_[peer], name_, members_[rank_], call_.Name(),
                        memory_.seat(rank_).calls.load()));
  }
  return false;
}

void GroupMember::SleepFor(int peer, const std::function<bool()>& ready,
                           const std::function<std::string()>& late, double limit_s) {
  const double timeout_s = job_->options.collective_timeout_s;
  double waited_s = 0;
  std::optional<Vigil> vigil;  // not needed by short waits
  std::atomic<int32_t>& sleeping_on = memory_.seat(rank_).sleeping_on;
  while (true) {
    const Clock::time_point start = Clock::now();
    // Announced before ready() is looked at, as the peer changes first and looks at sleeping_on
    // afterwards: with sequentially consistent accesses at least one of the two sees the other.
    // After an error the announcement stays; it can only cost a needless wake-up.
    sleeping_on.store(peer);
    if (Look(peer, ready)) break;
    const bool peer_is_silent = vigil && vigil->silent_s(members_[peer]) >= timeout_s;
    if (waited_s >= limit_s || peer_is_silent) {
      const double rounded_s = std::min(limit_s, std::round(waited_s * 10) / 10);
      Fail(core::PeerLost("{} waited {:g} s{}", late(), rounded_s,
                          vigil ? vigil->SilentText(std::min(limit_s, timeout_s) / 2) : ""));
    }
    FutexSleep(sleeping_on, peer);
    // Time in which this rank was stopped (a terminal's Ctrl-Z, a debugger) is not time that it
    // waited.
    const auto slept = std::min<Clock::duration>(Clock::now() - start, 2 * kMaxSleep);
    waited_s += std::chrono::duration<double>(slept).count();
    if (!vigil) {
      vigil.emplace(*job_->memory, waited_s);
    } else {
      vigil->Update(waited_s);
    }
  }
  sleeping_on.store(kAwake);
}

std::string GroupMember::LateText() const {
  std::vector<int> missing;
  std::vector<int> stuck;
  std::vector<int> waiting;
  const uint64_t call = memory_.seat(rank_).calls.load(std::memory_order_relaxed);
  for (int peer = 0; peer < size(); ++peer) {
    const Seat& seat = memory_.seat(peer);
    if (seat.round.load(std::memory_order_acquire) >= round_) {
      waiting.push_back(peer);
    } else if (seat.calls.load(std::memory_order_relaxed) < call) {
      missing.push_back(peer);
    } else {
      stuck.push_back(peer);
    }
  }
  const bool entered = missing.empty();
  const std::vector<int>& late = entered ? stuck : missing;
  return fmt::format("{} {} not {} {} #{} (group {}, {} bytes); {}", Ranks(late),
                     late.size() == 1 ? "has" : "have", entered ? "finished" : "entered",
                     call_.Name(), call, name_, call_.bytes(), Ranks(waiting));
}

std::string GroupMember::Ranks(const std::vector<int>& group_ranks) const {
  std::vector<int> ranks;
  for (int rank : group_ranks) ranks.push_back(members_[rank]);
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

void GroupMember::Fail(const core::Error& error) {
  Abort(error);
  throw job_->memory->abort_reason();
}

void GroupMember::Abort(const core::Error& reason) noexcept {
  job_->memory->Abort(reason);
  for (int peer = 0; peer < size(); ++peer) {
    std::atomic<int32_t>& sleeping_on = memory_.seat(peer).sleeping_on;
    if (sleeping_on.exchange(kAwake) != kAwake) FutexWake(sleeping_on);
  }
}

}  // namespace autodist::comm
