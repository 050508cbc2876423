#include "autodist/tune/bisection.h"

#include <algorithm>
#include <cmath>

#include "autodist/core/check.h"

namespace autodist::tune {
namespace {

// Of a real number that may be infinite, within [low, high].
int Clamped(double number, int low, int high) {
  if (!(number > low)) return low;
  return number < high ? static_cast<int>(number) : high;
}

}  // namespace

std::vector<int> NextQuestions(int min, int max, int guess, const std::map<int, double>& ratios) {
  AUTODIST_CHECK(min <= guess && guess <= max);
  if (ratios.empty()) return guess == min ? std::vector{guess} : std::vector{guess - 1, guess};
  // The smallest number that fits and, below it, the largest that does not.
  int fits = max + 1, fails = min - 1;
  for (const auto& [number, ratio] : ratios)
    if (ratio <= 1) fits = std::min(fits, number);
  for (const auto& [number, ratio] : ratios)
    if (ratio > 1 && number < fits) fails = std::max(fails, number);
  if (fits - fails == 1) return {};
  const int first = fails + 1, last = fits - 1;
  if (fits > max) return {Clamped(std::ceil(fails * ratios.at(fails)), first, last)};
  if (fails < min) return {Clamped(std::floor(fits * ratios.at(fits)), first, last)};
  const double above = std::log(ratios.at(fails)), below = std::log(ratios.at(fits));
  const bool halve = ratios.size() % 3 == 2 || !std::isfinite(above) || above <= below;
  if (halve) return {fails + (fits - fails) / 2};
  return {Clamped(fails + (fits - fails) * above / (above - below), first, last)};
}

}  // namespace autodist::tune
