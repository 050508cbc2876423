#include "autodist/trace/intervals.h"

#include <algorithm>

#include "autodist/core/check.h"

namespace autodist::trace {

void IntervalSet::Add(Interval interval) {
  if (interval.end_ns <= interval.start_ns) return;
  if (intervals_.empty() || interval.start_ns > intervals_.back().end_ns) {
    intervals_.push_back(interval);
    return;
  }
  AUTODIST_CHECK_GE(interval.start_ns, intervals_.back().start_ns);
  intervals_.back().end_ns = std::max(intervals_.back().end_ns, interval.end_ns);
}

int64_t IntervalSet::Length() const {
  int64_t length = 0;
  for (const Interval& interval : intervals_) length += interval.end_ns - interval.start_ns;
  return length;
}

int64_t IntervalSet::LengthWithin(int64_t start_ns, int64_t end_ns) const {
  int64_t length = 0;
  for (const Interval& interval : intervals_)
    length += std::max<int64_t>(
        0, std::min(interval.end_ns, end_ns) - std::max(interval.start_ns, start_ns));
  return length;
}

IntervalSet Intersection(const IntervalSet& a, const IntervalSet& b) {
  IntervalSet both;
  auto at = b.intervals().begin();
  for (const Interval& interval : a.intervals()) {
    while (at != b.intervals().end() && at->end_ns <= interval.start_ns) ++at;
    for (auto it = at; it != b.intervals().end() && it->start_ns < interval.end_ns; ++it)
      both.Add({std::max(interval.start_ns, it->start_ns), std::min(interval.end_ns, it->end_ns)});
  }
  return both;
}

IntervalSet Difference(const IntervalSet& a, const IntervalSet& b) {
  IntervalSet rest;
  auto at = b.intervals().begin();
  for (const Interval& interval : a.intervals()) {
    int64_t begin_ns = interval.start_ns;
    while (at != b.intervals().end() && at->end_ns <= begin_ns) ++at;
    for (auto it = at; it != b.intervals().end() && it->start_ns < interval.end_ns; ++it) {
      rest.Add({begin_ns, it->start_ns});
      begin_ns = it->end_ns;
    }
    rest.Add({begin_ns, interval.end_ns});
  }
  return rest;
}

}  // namespace autodist::trace
