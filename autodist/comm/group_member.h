// One rank's place in a group that lives in shared memory: showing what it does, waiting for peers,
// failing together.
//
// The one protocol under every collective is the round. A rank fills its slot of round r, announces
// r in its seat, and waits until every peer has announced r; then it reads the peers' slots. There
// is no second synchronisation: a rank that has announced r + 1 has finished reading round r, so
// whoever comes to round r + 2 (and has therefore seen all peers announce r + 1) may overwrite the
// slot of round r. Two slots per rank would be enough.
//
// Waiting: a short spin (where the ranks outnumber the cores: letting others run), then sleep on a
// futex; a peer that moves on wakes the rank only when that one sleeps for it. Threads: one caller
// at a time, but for Abort().
#ifndef AUTODIST_COMM_GROUP_MEMBER_H_
#define AUTODIST_COMM_GROUP_MEMBER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/comm/call.h"
#include "autodist/comm/group_memory.h"
#include "autodist/comm/job_memory.h"
#include "autodist/comm/rank_heap.h"

namespace autodist::comm {

// One rank of a job on this host; shared by all of that rank's communicators.
struct JobRank {
  JobRank(std::shared_ptr<JobMemory> job_memory, int job_rank, CommOptions comm_options);
  ~JobRank();  // marks the rank as having left

  const std::shared_ptr<JobMemory> memory;
  const int rank;
  const CommOptions options;
  const bool crowded;  // the ranks outnumber the cores
  RankHeap heap;
  // What the backend wants to live as long (the watchdog of a process).
  std::shared_ptr<void> attachment;
};

class GroupMember {
 public:
  static constexpr int kPolls = 2000;  // before sleeping

  // `block` is initialised GroupMemory for members.size() ranks. `members[i]` is the job rank of
  // group rank i.
  GroupMember(std::shared_ptr<JobRank> job, std::byte* block, int rank, std::vector<int> members,
              std::string name);
  ~GroupMember();

  JobRank& job() const { return *job_; }
  const std::shared_ptr<JobRank>& shared_job() const { return job_; }
  const GroupMemory& memory() const { return memory_; }
  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  const std::vector<int>& members() const { return members_; }
  const std::string& name() const { return name_; }

  // Begins a collective: all its rounds carry this call. `limit_s`: of each wait, instead of the
  // collective timeout. Throws when the job was aborted.
  void Begin(const Call& call, std::optional<double> limit_s = std::nullopt);
  // This rank's slot of the next round, free to be written.
  std::byte* NextSlot() const { return memory_.slot(rank_, round_ + 1); }
  // Announces the next round and returns when all peers have. Throws on a mismatch of calls.
  void Meet();
  // What `rank` put into its slot of the round that Meet() returned from last.
  const std::byte* Slot(int rank) const { return memory_.slot(rank, round_); }

  // Ranks that are threads: lets every rank work on the tensors of all, which begin at `own` on
  // this rank. visit(tensors), with the tensors by rank, runs between two rounds: all have come,
  // none goes before all visits are over. It only reads and writes memory. Also when this throws,
  // nobody is at `own` any more. REQUIRES job().memory->one_process().
  template <typename Visit>
  void Open(std::byte* own, const Visit& visit) {
    memory_.seat(rank_).tensor.store(own, std::memory_order_relaxed);  // published by the round
    try {
      Meet();
      BeginVisit();
      std::byte* tensors[kMaxRanksPerHost];
      for (int peer = 0; peer < size(); ++peer)
        tensors[peer] = memory_.seat(peer).tensor.load(std::memory_order_relaxed);
      visit(tensors);
      EndVisit();
      Meet();
    } catch (...) {
      AwaitVisitors();
      throw;
    }
  }

  // Returns when ready() is true, which only `peer` can make it. `late` gives the text for a
  // time-out, up to
  // "...; ranks 0, 1 waited 60 s". `limit_s`: instead of the collective timeout.
  template <typename Ready>
  void WaitFor(int peer, const Ready& ready, const std::function<std::string()>& late,
               std::optional<double> limit_s = std::nullopt) {
    for (int i = 0; i < kPolls; ++i) {
      if (ready()) return;
      Relax(i);
    }
    SleepFor(peer, ready, late, limit_s.value_or(job_->options.collective_timeout_s));
  }
  // ready(), without waiting. Throws when that is false and `peer` has left or the job was aborted.
  bool Look(int peer, const std::function<bool()>& ready);
  // After a change that `peer` may wait for. The change must have been a sequentially consistent
  // store.
  void Wake(int peer);

  // Aborts the job with this error, unless it was aborted before, and throws the job's reason.
  [[noreturn]] void Fail(const core::Error& error);
  void Abort(const core::Error& reason) noexcept;

  // "rank 3" or "ranks 0, 1, 2": the world ranks of these group ranks.
  std::string Ranks(const std::vector<int>& group_ranks) const;

 private:
  void Relax(int turn) const;
  void BeginVisit();
  void EndVisit();
  void AwaitVisitors() const;
  void SleepFor(int peer, const std::function<bool()>& ready,
                const std::function<std::string()>& late, double limit_s);
  void CompareRecords(int peer);
  std::string LateText() const;

  const std::shared_ptr<JobRank> job_;
  const GroupMemory memory_;
  std::byte* const block_;
  const int rank_;
  const std::vector<int> members_;
  const std::string name_;
  uint64_t round_ = 0;
  Call call_;
  std::optional<double> limit_s_;  // of call_
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_GROUP_MEMBER_H_
