#include "autodist/text/merge_table.h"

#include <bit>

namespace autodist::text {

MergeTable::MergeTable(size_t merges) : slots_(std::bit_ceil(2 * merges + 1)) {}

size_t MergeTable::SlotOf(int32_t left, int32_t right) const {
  uint64_t hash =
      (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  hash *= 0x9E3779B97F4A7C15u;  // Fibonacci hashing: the high bits are well mixed
  hash ^= hash >> 32;
  const size_t mask = slots_.size() - 1;
  size_t slot = static_cast<size_t>(hash) & mask;
  while (slots_[slot].left >= 0 && (slots_[slot].left != left || slots_[slot].right != right)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void MergeTable::Add(int32_t left, int32_t right, Merge merge) {
  slots_[SlotOf(left, right)] = {left, right, merge};
}

const Merge* MergeTable::Find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[SlotOf(left, right)];
  return slot.left >= 0 ? &slot.merge : nullptr;
}

}  // namespace autodist::text
