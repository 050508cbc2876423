#include "autodist/trace/range_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace autodist::trace {
namespace {

bool Holds(const Range& range, int64_t ns) {
  return range.start_ns <= ns && (ns < range.end_ns || ns == range.start_ns);
}

}  // namespace

RangeIndex::RangeIndex(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
    return std::tuple(a.lane, a.start_ns, -a.end_ns) < std::tuple(b.lane, b.start_ns, -b.end_ns);
  });
  lane_begins_.push_back(0);
  for (int64_t i = 0; i < size(); ++i) {
    while (lane_begins_.size() <= (*this)[i].lane) lane_begins_.push_back(i);
    int64_t parent = i > 0 && (*this)[i - 1].lane == (*this)[i].lane ? i - 1 : kNone;
    while (parent != kNone && !Holds((*this)[parent], (*this)[i].start_ns)) parent = Parent(parent);
    parents_.push_back(parent);
  }
  lane_begins_.push_back(size());
}

int64_t RangeIndex::Innermost(uint32_t lane, int64_t ns) const {
  if (lane + 1 >= lane_begins_.size()) return kNone;
  const auto begin = ranges_.begin() + lane_begins_[lane];
  const auto end = ranges_.begin() + lane_begins_[lane + 1];
  const auto after = std::upper_bound(
      begin, end, ns, [](int64_t value, const Range& range) { return value < range.start_ns; });
  if (after == begin) return kNone;
  int64_t index = after - ranges_.begin() - 1;
  while (index != kNone && !Holds((*this)[index], ns)) index = Parent(index);
  return index;
}

}  // namespace autodist::trace
