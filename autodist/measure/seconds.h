// How long something took, on the clock that only goes forward.
#ifndef AUTODIST_MEASURE_SECONDS_H_
#define AUTODIST_MEASURE_SECONDS_H_

#include <chrono>

namespace autodist::measure {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of one call of `body`.
template <typename Body>
double Seconds(const Body& body) {
  const Clock::time_point start = Clock::now();
  body();
  return SecondsSince(start);
}

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_SECONDS_H_
