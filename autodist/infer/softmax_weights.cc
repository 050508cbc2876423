#include "autodist/infer/softmax_weights.h"

#include <cmath>
#include <numbers>
#include <type_traits>

#include "autodist/core/check.h"

namespace autodist::infer {
namespace {

constexpr double kMantissaUnit = 0x1p40;

// 2^fraction in units of 2^-40, fraction in [0, 1). 2^23 tokens fit the 64 bits of a bin.
uint64_t Mantissa(double fraction) {
  return static_cast<uint64_t>(std::exp2(fraction) * kMantissaUnit + 0.5);
}

}  // namespace

static_assert(std::is_trivially_copyable_v<WeightSum>);

double ExponentScale(double temperature) { return std::numbers::log2e / temperature; }

WeightSum::WeightSum(double max_exponent) : max_exponent_(max_exponent) {}

WeightSum WeightSum::ForLargest(double largest_t) { return WeightSum(std::floor(largest_t)); }

void WeightSum::Add(double t) {
  const double exponent = std::floor(t);
  // Also skips t = -infinity, and NaN (which counts as such).
  const double below = max_exponent_ - exponent;
  if (!(below < kBins)) return;
  AUTODIST_CHECK_GE(below, 0.0);
  mantissas_[static_cast<size_t>(below)] += Mantissa(t - exponent);
}

void WeightSum::Merge(const WeightSum& other) {
  if (other.max_exponent_ > max_exponent_) {
    WeightSum larger = other;
    larger.Merge(*this);
    *this = larger;
    return;
  }
  const double shift = max_exponent_ - other.max_exponent_;
  if (!(shift < kBins)) return;  // also when other is empty: its exponent is -infinity
  for (size_t from = 0, to = static_cast<size_t>(shift); to < kBins; ++from, ++to) {
    mantissas_[to] += other.mantissas_[from];
  }
}

double WeightSum::Total() const {
  double total = 0.0;
  for (int bin = kBins - 1; bin >= 0; --bin) {  // smallest first
    total += std::ldexp(static_cast<double>(mantissas_[static_cast<size_t>(bin)]), -bin);
  }
  return total / kMantissaUnit;
}

double WeightSum::WeightOf(double t) const {
  const double exponent = std::floor(t);
  const double below = max_exponent_ - exponent;
  if (!(below < kBins)) return 0.0;
  return std::ldexp(static_cast<double>(Mantissa(t - exponent)), -static_cast<int>(below)) /
         kMantissaUnit;
}

}  // namespace autodist::infer
