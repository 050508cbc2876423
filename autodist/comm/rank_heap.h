// A rank's part of the job's memory, from which it alone allocates: the data of its messages and
// the blocks of groups that it leads. Others give a block back by one atomic count; the owner finds
// it free at a later allocation.
//
// Thread-safe. The book-keeping is private memory of the owner: no lock is ever held in shared
// memory, so a rank that dies at any instruction leaves nothing locked.
#ifndef AUTODIST_COMM_RANK_HEAP_H_
#define AUTODIST_COMM_RANK_HEAP_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace autodist::comm {

class RankHeap {
 public:
  // `base` is page-aligned and outlives the heap.
  RankHeap(std::byte* base, size_t bytes) : base_(base), capacity_(bytes) {}

  // A cache-line-aligned block that is free again after `holders` calls of Release(). nullptr when
  // no gap is large enough.
  std::byte* Allocate(size_t bytes, uint32_t holders);
  // From any rank.
  static void Release(std::byte* block);

 private:
  struct Header;
  static Header& HeaderOf(std::byte* block);

  std::byte* const base_;
  const size_t capacity_;
  std::mutex mutex_;
  std::map<size_t, size_t> used_;  // offset -> bytes, header included
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_RANK_HEAP_H_
