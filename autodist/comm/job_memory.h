// The memory that the ranks of one job on one host share, and the job-wide facts in it: who is
// there, and whether the job was aborted.
//
// Layout: header, one RankState per rank, the block of the group "world", then one heap per rank
// (rank_heap.h). Pages cost memory once they are touched, not before; a page is first touched by
// the rank that writes it.
#ifndef AUTODIST_COMM_JOB_MEMORY_H_
#define AUTODIST_COMM_JOB_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "autodist/core/error.h"

namespace autodist::comm {

inline constexpr size_t kCacheLineBytes = 64;
inline constexpr size_t kPageBytes = 4096;
inline constexpr int kMaxRanksPerHost = 256;
inline constexpr size_t kSendBufferBytes = size_t{512} << 20;  // per rank: messages under way

// Throws core::Error (bad input) when one host cannot hold that many.
void CheckRanksPerHost(int ranks);

inline constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

class JobMemory {
 public:
  // For ranks that are threads of this process. Throws kRuntime when the address space does not
  // suffice.
  static std::shared_ptr<JobMemory> CreateForThreads(int ranks);
  // For processes: an anonymous file (it has no name, so nothing can be left behind). The caller
  // owns the descriptor.
  static int CreateFile(int ranks);
  // Maps what CreateFile() made, here or in another process. Does not take the descriptor.
  static std::shared_ptr<JobMemory> MapFile(int fd, int ranks);

  // Of address space; a function of the number of ranks and of this build.
  static size_t TotalBytes(int ranks);

  JobMemory(const JobMemory&) = delete;
  JobMemory& operator=(const JobMemory&) = delete;
  ~JobMemory();

  int ranks() const { return ranks_; }
  // The ranks are threads of this process: an address of one means the same to all.
  bool one_process() const { return one_process_; }
  std::byte* at(uint64_t offset) const { return base_ + offset; }
  uint64_t offset_of(const std::byte* address) const {
    return static_cast<uint64_t>(address - base_);
  }
  std::byte* world_block() const;
  std::byte* heap(int rank) const;
  size_t heap_bytes() const;

  // The first caller's reason is the job's; later ones are dropped. From any thread; wakes nobody
  // by itself: sleepers look at aborted() at least every kMaxSleep.
  void Abort(const core::Error& reason) noexcept;
  bool aborted() const;
  // REQUIRES aborted().
  core::Error abort_reason() const;
  // True for the first caller in the job.
  bool ClaimReport(int rank) noexcept;
  int reporter() const;  // who claimed it; -1: nobody so far

  // A rank that is a process gives a sign of life every 100 ms or so, whatever it works on; one
  // that is stopped does not.
  void GiveSignOfLife(int rank) noexcept;
  uint64_t signs_of_life(int rank) const;  // so far

  // A rank that has left needs no watching any more.
  void SetLeft(int rank) noexcept;
  bool left(int rank) const;

 private:
  struct Header;
  struct RankState;

  JobMemory(std::byte* base, size_t bytes, int ranks, bool one_process)
      : base_(base), bytes_(bytes), ranks_(ranks), one_process_(one_process) {}
  Header& header() const;
  RankState& state(int rank) const;
  void Initialise();

  std::byte* base_;
  size_t bytes_;
  int ranks_;
  bool one_process_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_JOB_MEMORY_H_
