#include "autodist/infer/softmax_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "autodist/core/random.h"

namespace autodist::infer {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

WeightSum SumOf(const std::vector<double>& ts) {
  double largest = kMinusInfinity;
  for (double t : ts) largest = std::max(largest, t);
  WeightSum sum = WeightSum::ForLargest(largest);
  for (double t : ts) sum.Add(t);
  return sum;
}

TEST(SoftmaxWeightsTest, PowersOfTwoAreExact) {
  const WeightSum sum = SumOf({3.0, 1.0, 1.0, -2.0});  // 8 + 2 + 2 + 1/4, in units of 8
  EXPECT_EQ(sum.max_exponent(), 3.0);
  EXPECT_EQ(sum.Total(), 12.25 / 8);
  EXPECT_EQ(sum.WeightOf(1.0), 2.0 / 8);
}

TEST(SoftmaxWeightsTest, MatchesSoftmaxProbabilities) {
  const std::vector<float> logits = {2.5f, -1.0f, 0.25f, 7.0f, 6.875f};
  const double temperature = 0.7;
  std::vector<double> ts;
  double denominator = 0.0;
  for (float logit : logits) {
    ts.push_back(double{logit} * ExponentScale(temperature));
    denominator += std::exp(double{logit} / temperature);
  }
  const WeightSum sum = SumOf(ts);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(sum.WeightOf(ts[i]) / sum.Total(),
                std::exp(double{logits[i]} / temperature) / denominator, 1e-11);
  }
}

TEST(SoftmaxWeightsTest, TheSumHasTheSameBitsHoweverTheTokensAreCutAndOrdered) {
  std::vector<double> ts;
  for (uint64_t i = 0; i < 997; ++i) ts.push_back(core::UniformDouble(1, 2, i) * 90.0 - 45.0);
  const double whole = SumOf(ts).Total();
  for (size_t parts : {2u, 3u, 7u, 997u}) {
    WeightSum merged = SumOf({});
    for (size_t part = parts; part-- > 0;) {
      std::vector<double> mine;
      for (size_t i = part; i < ts.size(); i += parts) mine.push_back(ts[i]);
      merged.Merge(SumOf(mine));
    }
    EXPECT_EQ(merged.Total(), whole) << parts;
  }
}

TEST(SoftmaxWeightsTest, FarSmallerTokensAndMinusInfinityAddNothing) {
  WeightSum sum = SumOf({1000.0, 900.0, kMinusInfinity});
  EXPECT_EQ(sum.Total(), 1.0);
  EXPECT_EQ(sum.WeightOf(900.0), 0.0);
  EXPECT_EQ(sum.WeightOf(kMinusInfinity), 0.0);
  sum.Merge(SumOf({-1000.0}));
  EXPECT_EQ(sum.Total(), 1.0);
  EXPECT_EQ(SumOf({kMinusInfinity}).Total(), 0.0);
}

}  // namespace
}  // namespace autodist::infer
