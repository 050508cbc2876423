#include "autodist/comm/rank_heap.h"

#include <atomic>
#include <new>

#include "autodist/comm/job_memory.h"

namespace autodist::comm {

// The line before the block.
struct alignas(kCacheLineBytes) RankHeap::Header {
  std::atomic<uint32_t> holders;
};

RankHeap::Header& RankHeap::HeaderOf(std::byte* block) {
  return *reinterpret_cast<Header*>(block - sizeof(Header));
}

std::byte* RankHeap::Allocate(size_t bytes, uint32_t holders) {
  const size_t needed = RoundUp(bytes + sizeof(Header), kCacheLineBytes);
  const std::lock_guard lock(mutex_);
  // The lowest gap: the memory stays small and warm.
  size_t gap = 0;
  auto block = used_.begin();
  while (block != used_.end() && block->first - gap < needed) {
    const auto& header = *reinterpret_cast<const Header*>(base_ + block->first);
    if (header.holders.load(std::memory_order_acquire) == 0) {
      block = used_.erase(block);
    } else {
      gap = block->first + block->second;
      ++block;
    }
  }
  const size_t end = block == used_.end() ? capacity_ : block->first;
  if (end - gap < needed) return nullptr;
  used_.emplace_hint(block, gap, needed);
  new (base_ + gap) Header{holders};
  return base_ + gap + sizeof(Header);
}

void RankHeap::Release(std::byte* block) {
  HeaderOf(block).holders.fetch_sub(1, std::memory_order_acq_rel);
}

}  // namespace autodist::comm
