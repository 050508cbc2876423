// Robust figures of a few samples.
#ifndef AUTODIST_MEASURE_STATISTICS_H_
#define AUTODIST_MEASURE_STATISTICS_H_

#include <algorithm>
#include <numeric>
#include <vector>

#include "autodist/core/check.h"

namespace autodist::measure {

// Of value_of(sample) over the samples; the mean of the middle two when their number is even.
// REQUIRES at least one.
template <typename Sample, typename ValueOf>
double Median(const std::vector<Sample>& samples, const ValueOf& value_of) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(value_of(sample));
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The mean of all values but the smallest and the largest. REQUIRES at least three.
inline double MiddleMean(std::vector<double> values) {
  AUTODIST_CHECK_GE(values.size(), 3u);
  std::sort(values.begin(), values.end());
  return std::accumulate(values.begin() + 1, values.end() - 1, 0.0) /
         static_cast<double>(values.size() - 2);
}

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_STATISTICS_H_
