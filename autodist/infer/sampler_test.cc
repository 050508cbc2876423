#include "autodist/infer/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "autodist/device/topology.h"
#include "autodist/infer/testing/reference_sampler.h"

namespace autodist::infer {
namespace {

using ::testing::ElementsAre;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

std::vector<float> Processed(std::vector<float> logits, int32_t first_id, const SampleRow& row) {
  std::vector<uint8_t> seen(logits.size());
  ProcessLogits(row, {logits, first_id}, seen);
  EXPECT_EQ(seen, std::vector<uint8_t>(logits.size())) << "working memory must be zero again";
  return logits;
}

TEST(ProcessLogitsTest, PenaltyDividesPositiveAndMultipliesNegativeLogitsOncePerId) {
  SamplingOptions options;
  options.repetition_penalty = 2.0;
  const std::vector<int32_t> history = {1, 3, 1, 1, 2};
  SampleRow row{&options};
  row.history = history;
  EXPECT_THAT(Processed({5, 4, 0, -3, -2}, 0, row), ElementsAre(5, 2, 0, -6, -2));
  options.repetition_penalty = 0.5;  // encourages repetition
  EXPECT_THAT(Processed({5, 4, 0, -3, -2}, 0, row), ElementsAre(5, 8, 0, -1.5, -2));
  options.repetition_penalty = 1.0;
  EXPECT_THAT(Processed({5, 4, 0, -3, -2}, 0, row), ElementsAre(5, 4, 0, -3, -2));
}

TEST(ProcessLogitsTest, IdsOfOtherShardsAreSkipped) {
  SamplingOptions options;
  options.repetition_penalty = 2.0;
  const std::vector<int32_t> history = {9, 10, 13, 2000000000};
  const std::vector<int32_t> excluded = {0, 11, 14};
  SampleRow row{&options};
  row.history = history;
  row.excluded = excluded;
  EXPECT_THAT(Processed({8, 8, 8, 8}, 10, row), ElementsAre(4, kMinusInfinity, 8, 4));
  EXPECT_THAT(Processed({}, 10, row), ElementsAre());
}

TEST(TokenNoiseTest, DependsOnSeedSequencePositionAndToken) {
  const uint64_t bits = TokenNoise(1, 2, 3).Bits(4);
  EXPECT_EQ(TokenNoise(1, 2, 3).Bits(4), bits);
  EXPECT_NE(TokenNoise(2, 2, 3).Bits(4), bits);
  EXPECT_NE(TokenNoise(1, 3, 3).Bits(4), bits);
  EXPECT_NE(TokenNoise(1, 2, 4).Bits(4), bits);
  EXPECT_NE(TokenNoise(1, 2, 3).Bits(5), bits);
  EXPECT_NE(TokenNoise(1, 2, 3).Bits(6), bits);
  EXPECT_NE(TokenNoise(uint64_t{1} << 32, 2, 3).Bits(4), TokenNoise(0, 2, 3).Bits(4));
  EXPECT_NE(TokenNoise(1, uint64_t{1} << 32, 3).Bits(4), TokenNoise(1, 0, 3).Bits(4));
}

TEST(TokenNoiseTest, GumbelIsFiniteAndBelowItsBound) {
  const TokenNoise noise(5, 6, 7);
  for (int32_t id = 0; id < 10000; ++id) {
    const uint64_t bits = noise.Bits(id);
    ASSERT_LE(TokenNoise::Gumbel(bits), TokenNoise::GumbelBound(bits));
  }
  for (int shift = 0; shift < 64; ++shift) {  // every magnitude, up to the extremes
    for (uint64_t bits : {UINT64_MAX >> shift, uint64_t{1} << shift}) {
      ASSERT_TRUE(std::isfinite(TokenNoise::Gumbel(bits)));
      ASSERT_LE(TokenNoise::Gumbel(bits), TokenNoise::GumbelBound(bits) + 1e-9);
    }
  }
  EXPECT_TRUE(std::isfinite(TokenNoise::Gumbel(0)));
  EXPECT_LE(TokenNoise::Gumbel(0), 37.0);
}

// CountKept on a row whose probabilities are 1/2, 1/4, 1/8, 1/16, 1/16.
class CountKeptTest : public ::testing::Test {
 protected:
  CountKeptTest() {
    options_.temperature = 1.0;
    for (double probability : {0.5, 0.25, 0.125, 0.0625, 0.0625}) {
      const int32_t id = static_cast<int32_t>(row_.size());
      row_.push_back({static_cast<float>(std::log(probability)), id});
    }
    for (const Candidate& token : row_) all_.Add(double{token.logit} * ExponentScale(1.0));
  }

  std::optional<size_t> Kept(size_t known) {
    return CountKept(std::span(row_).first(known), known == row_.size(), &all_, options_);
  }

  std::vector<Candidate> row_;
  WeightSum all_ = WeightSum::ForLargest(std::log2(0.5));
  SamplingOptions options_;
};

TEST_F(CountKeptTest, TopPKeepsTheFewestTokensThatReachIt) {
  for (auto [top_p, count] : std::vector<std::pair<double, size_t>>{
           {1e-300, 1}, {0.4, 1}, {0.6, 2}, {0.74, 2}, {0.76, 3}, {0.9, 4}, {0.99, 5}}) {
    options_.top_p = top_p;
    EXPECT_EQ(Kept(5), count) << top_p;
  }
}

TEST_F(CountKeptTest, MinPComparesWithTheMostProbableToken) {
  for (auto [min_p, count] : std::vector<std::pair<double, size_t>>{
           {0.0, 5}, {0.12, 5}, {0.13, 3}, {0.26, 2}, {0.51, 1}, {1.0, 1}}) {
    options_.min_p = min_p;
    EXPECT_EQ(Kept(5), count) << min_p;
  }
}

TEST_F(CountKeptTest, TopPAfterTopKIsOfTheRenormalisedRest) {
  options_.top_k = 2;  // 2/3, 1/3
  options_.top_p = 0.6;
  EXPECT_EQ(Kept(5), 1u);
  options_.top_p = 0.7;
  EXPECT_EQ(Kept(5), 2u);
  options_.top_k = 9;  // more than there are
  EXPECT_EQ(Kept(5), 2u);
}

TEST_F(CountKeptTest, AShortPrefixIsEnoughOrIsSaidNotToBe) {
  options_.top_p = 0.6;
  EXPECT_EQ(Kept(1), std::nullopt);
  EXPECT_EQ(Kept(2), 2u);
  options_.top_p = 0.9;
  EXPECT_EQ(Kept(3), std::nullopt);
  options_.top_p = 1.0;
  options_.min_p = 0.3;
  EXPECT_EQ(Kept(2), std::nullopt);  // two pass; the third is not known
  EXPECT_EQ(Kept(3), 2u);
  options_.min_p = 0.0;
  options_.top_k = 3;
  EXPECT_EQ(Kept(2), std::nullopt);
  EXPECT_EQ(Kept(3), 3u);
  EXPECT_EQ(Kept(0), std::nullopt);
}

class ShardTest : public ::testing::Test {
 protected:
  device::ThreadPool pool_{3};
  device::Stream stream_{pool_, device::DetectIsa()};
};

TEST_F(ShardTest, GreedyTakesTheSmallestOfEqualIds) {
  std::vector<float> logits = {1, 7, 3, 7, 7};
  const Draw draw = GreedyDraw(stream_, {logits, 100});
  EXPECT_EQ(draw.id, 101);
  EXPECT_EQ(draw.key, 7.0);
  EXPECT_EQ(GreedyDraw(stream_, {{}, 100}).id, -1);
  std::vector<float> nothing(5, kMinusInfinity);
  EXPECT_EQ(GreedyDraw(stream_, {nothing, 100}).id, -1);
}

TEST_F(ShardTest, CandidatesComeInCanonicalOrder) {
  std::vector<float> logits = {1, 7, kMinusInfinity, 7, 3};
  EXPECT_THAT(TopCandidates(stream_, {logits, 10}, 3),
              ElementsAre(Candidate{7, 11}, Candidate{7, 13}, Candidate{3, 14}));
  EXPECT_EQ(TopCandidates(stream_, {logits, 10}, 50).size(), 4u);
}

TEST_F(ShardTest, NoiseNeverDrawsAnExcludedToken) {
  std::vector<float> logits = {kMinusInfinity, 0, kMinusInfinity, std::nanf("")};
  SamplingOptions options;
  options.temperature = 100.0;
  for (uint32_t position = 0; position < 100; ++position) {
    SampleRow row{&options};
    row.position = position;
    EXPECT_EQ(NoiseDraw(stream_, {logits, 0}, row).id, 1);
  }
  std::vector<float> nothing(5, kMinusInfinity);
  EXPECT_EQ(NoiseDraw(stream_, {nothing, 0}, SampleRow{&options}).id, -1);
}

// Pearson's chi-square of `draws` draws against the probabilities that the options leave. Seeds are
// fixed, so this either always passes or never.
double ChiSquare(device::Stream& stream, std::vector<float> logits, const SamplingOptions& options,
                 uint32_t draws, bool by_sequence) {
  SampleRow row{&options};
  const testing::Survivors survivors = testing::ReferenceSurvivors(logits, row);
  const LogitShard shard{logits, 0};
  const std::vector<Candidate> sorted = TopCandidates(stream, shard, 1000);
  const WeightSum all = SumWeights(stream, shard, sorted[0].logit, options.temperature);
  const std::optional<size_t> kept = CountKept(sorted, true, &all, options);
  EXPECT_EQ(kept, survivors.ids.size());
  std::vector<int64_t> counts(logits.size());
  for (uint32_t i = 0; i < draws; ++i) {
    row.sequence = by_sequence ? i : 0;
    row.position = by_sequence ? 0 : i;
    const Draw draw = NoiseDraw(std::span(sorted).first(*kept), row);
    if (options.keeps_all() && i < 500) {
      EXPECT_EQ(NoiseDraw(stream, shard, row).id, draw.id);
    }
    ++counts[static_cast<size_t>(draw.id)];
  }
  double chi_square = 0.0;
  for (size_t i = 0; i < survivors.ids.size(); ++i) {
    const double expected = survivors.probabilities[i] * draws;
    int64_t& count = counts[static_cast<size_t>(survivors.ids[i])];
    chi_square += (static_cast<double>(count) - expected) *
                  (static_cast<double>(count) - expected) / expected;
    count = 0;
  }
  EXPECT_THAT(counts, ::testing::Each(0)) << "a filtered token was drawn";
  return chi_square;
}

TEST_F(ShardTest, FrequenciesAreTheSoftmax) {
  const std::vector<float> logits = {0.5f, -1.0f, 2.0f,  1.25f, -2.0f,
                                     0.0f, 1.5f,  -0.5f, 0.75f, 1.0f};
  SamplingOptions options;
  options.temperature = 0.8;
  EXPECT_LT(ChiSquare(stream_, logits, options, 40000, false),
            27.9);  // 9 degrees of freedom, p = 0.001
  EXPECT_LT(ChiSquare(stream_, logits, options, 40000, true), 27.9);
  options.top_k = 5;
  EXPECT_LT(ChiSquare(stream_, logits, options, 40000, false), 18.5);  // 4 degrees
  options.top_k = 0;
  options.top_p = 0.7;
  EXPECT_LT(ChiSquare(stream_, logits, options, 40000, false), 16.3);  // at most 3 degrees
  options.top_p = 1.0;
  options.min_p = 0.3;
  EXPECT_LT(ChiSquare(stream_, logits, options, 40000, false), 18.5);  // at most 4 degrees
}

}  // namespace
}  // namespace autodist::infer
