#include "autodist/text/merge_table.h"

#include <bit>

namespace autodist::text {

MergeTable::MergeTable(size_t merges) : slots_(std::bit_ceil(merges * 3 / 2 + 1)) {}

void MergeTable::Add(int32_t left, int32_t right, Merge merge) {
  slots_[SlotOf(left, right)] = {left, right, merge};
}

}  // namespace autodist::text
