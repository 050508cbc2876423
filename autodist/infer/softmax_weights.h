// Softmax weights whose sum has the same bits in whatever order, and over however many ranks, it is
// taken.
//
// A token with logit z at temperature T weighs exp(z / T) = 2^t with t = z * log2(e) / T. It is
// rounded to a 40-bit mantissa; a sum keeps one integer per binary exponent, so adding is exact and
// therefore associative. Plain double sums would differ in their last bits between tp = 1 and tp =
// 4, and with them, now and then, the nucleus of top-p.
#ifndef AUTODIST_INFER_SOFTMAX_WEIGHTS_H_
#define AUTODIST_INFER_SOFTMAX_WEIGHTS_H_

#include <array>
#include <cstdint>

namespace autodist::infer {

// log2(e) / temperature: t = logit * this.
double ExponentScale(double temperature);

// The sum of weights, relative to the largest exponent seen. Trivially copyable: ranks exchange its
// bytes. Weights more than 2^kBins below the largest count as 0; 2^20 such tokens together stay
// under 2^-40 of the sum.
class WeightSum {
 public:
  static constexpr int kBins = 61;

  // An empty sum that can take tokens up to `max_exponent`, the floor of the largest t it will be
  // given.
  explicit WeightSum(double max_exponent);
  static WeightSum ForLargest(double largest_t);

  // Adds the token 2^t; -infinity adds nothing. REQUIRES floor(t) <= max_exponent.
  void Add(double t);

  // Adds what another shard or thread has summed. Exact: the order of merges does not matter.
  void Merge(const WeightSum& other);

  // The sum, and one token's weight, both as multiples of 2^max_exponent().
  double Total() const;
  double WeightOf(double t) const;

  double max_exponent() const { return max_exponent_; }

 private:
  double max_exponent_;
  std::array<uint64_t, kBins>
      mantissas_{};  // [i]: sum of 40-bit mantissas with exponent max_exponent - i
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_SOFTMAX_WEIGHTS_H_
