// Which pairs of tokens BPE merges, in which order, into what.
#ifndef AUTODIST_TEXT_MERGE_TABLE_H_
#define AUTODIST_TEXT_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace autodist::text {

// Fibonacci hashing of two ids: the high bits are well mixed, and moved down.
inline uint64_t HashPair(int32_t left, int32_t right) {
  uint64_t hash =
      (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  hash *= 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 32);
}

struct Merge {
  int32_t rank;    // smaller is earlier
  int32_t result;  // id of the merged token
};

// A hash table with open addressing, 16 bytes a slot and at most two thirds full: one look-up
// touches one or two cache lines, and encoding does little else. Find is safe from any thread while
// nobody adds.
class MergeTable {
 public:
  explicit MergeTable(size_t merges);

  // REQUIRES ids >= 0 and no more calls than were announced. A pair that is added again keeps the
  // later merge.
  void Add(int32_t left, int32_t right, Merge merge);
  // nullptr when the two do not merge. Valid until the next Add.
  const Merge* Find(int32_t left, int32_t right) const {
    const Slot& slot = slots_[SlotOf(left, right)];
    return slot.left >= 0 ? &slot.merge : nullptr;
  }

 private:
  struct Slot {
    int32_t left = -1;  // -1: free
    int32_t right = -1;
    Merge merge{};
  };

  // The slot of the pair, or the free one where it belongs.
  size_t SlotOf(int32_t left, int32_t right) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = static_cast<size_t>(HashPair(left, right)) & mask;
    while (slots_[slot].left >= 0 && (slots_[slot].left != left || slots_[slot].right != right)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  std::vector<Slot> slots_;  // a power of two
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_MERGE_TABLE_H_
