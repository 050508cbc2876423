// Robust figures of a few samples.
#ifndef AUTODIST_MEASURE_STATISTICS_H_
#define AUTODIST_MEASURE_STATISTICS_H_

#include <algorithm>
#include <vector>

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

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_STATISTICS_H_
