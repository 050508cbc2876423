// Which range encloses a moment: ranges of one lane (a host thread, a stream) nest.
#ifndef AUTODIST_TRACE_RANGE_INDEX_H_
#define AUTODIST_TRACE_RANGE_INDEX_H_

#include <cstdint>
#include <span>
#include <vector>

#include "autodist/trace/raw_trace.h"

namespace autodist::trace {

// Immutable after construction.
class RangeIndex {
 public:
  static constexpr int64_t kNone = -1;

  // `ranges` are sorted by lane and start, the longer one of two that start together first.
  explicit RangeIndex(std::vector<Range> ranges);

  const Range& operator[](int64_t index) const { return ranges_[static_cast<size_t>(index)]; }
  int64_t size() const { return static_cast<int64_t>(ranges_.size()); }
  // The innermost range of `lane` with start <= ns < end (an empty range holds its start), or
  // kNone.
  int64_t Innermost(uint32_t lane, int64_t ns) const;
  // The innermost range around a range, or kNone. It has the smaller index.
  int64_t Parent(int64_t index) const { return parents_[static_cast<size_t>(index)]; }

 private:
  std::vector<Range> ranges_;
  std::vector<int64_t> parents_;
  std::vector<int64_t> lane_begins_;  // of lane l: [l], one past the last lane: size()
};

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_RANGE_INDEX_H_
