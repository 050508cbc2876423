// Unions of half-open intervals of time, in nanoseconds.
#ifndef AUTODIST_TRACE_INTERVALS_H_
#define AUTODIST_TRACE_INTERVALS_H_

#include <cstdint>
#include <vector>

namespace autodist::trace {

// [start, end); empty when end <= start.
struct Interval {
  int64_t start_ns = 0;
  int64_t end_ns = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

// Sorted, disjoint, none empty, none touching the next.
class IntervalSet {
 public:
  // REQUIRES starts that do not fall from call to call. Empty ones are left out.
  void Add(Interval interval);

  const std::vector<Interval>& intervals() const { return intervals_; }
  int64_t Length() const;
  // Of the part that lies in [start, end).
  int64_t LengthWithin(int64_t start_ns, int64_t end_ns) const;

 private:
  std::vector<Interval> intervals_;
};

IntervalSet Intersection(const IntervalSet& a, const IntervalSet& b);
IntervalSet Difference(const IntervalSet& a, const IntervalSet& b);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_INTERVALS_H_
