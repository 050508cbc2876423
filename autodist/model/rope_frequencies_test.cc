#include "autodist/model/rope_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>

namespace autodist::model {
namespace {

using spec::RopeConfig;
using spec::RopeKind;

// The expected values were computed with the transformers library, in f32.
void ExpectFrequencies(const RopeFrequencies& actual, const std::vector<double>& inverse,
                       double attention_factor) {
  ASSERT_EQ(actual.inverse.size(), inverse.size());
  for (size_t j = 0; j < inverse.size(); ++j)
    EXPECT_NEAR(actual.inverse[j] / inverse[j], 1.0, 1e-6) << "frequency " << j;
  EXPECT_NEAR(actual.attention_factor, attention_factor, 1e-6);
}

RopeConfig Rope(RopeKind kind, double factor = 1.0, int64_t original = 4096) {
  RopeConfig config;
  config.kind = kind;
  config.dim = 8;
  config.factor = factor;
  config.original_max_position = original;
  return config;
}

TEST(RopeFrequenciesTest, DefaultIsAGeometricSeries) {
  ExpectFrequencies(ComputeRopeFrequencies(Rope(RopeKind::kDefault), 1), {1, .1, .01, .001}, 1.0);
}

TEST(RopeFrequenciesTest, LinearDividesAll) {
  ExpectFrequencies(ComputeRopeFrequencies(Rope(RopeKind::kLinear, 4.0), 1),
                    {.25, .025, .0025, .00025}, 1.0);
}

// The base grows with the length once it is beyond the original context, and only then.
TEST(RopeFrequenciesTest, DynamicFollowsTheLength) {
  const RopeConfig config = Rope(RopeKind::kDynamic, 2.0, 4096);
  ExpectFrequencies(ComputeRopeFrequencies(config, 8192), {1, .06933612, .004807498, .0003333333},
                    1.0);
  for (const int64_t length : {1, 4095, 4096})
    ExpectFrequencies(ComputeRopeFrequencies(config, length), {1, .1, .01, .001}, 1.0);
  EXPECT_LT(ComputeRopeFrequencies(config, 4097).inverse[3],
            ComputeRopeFrequencies(config, 4096).inverse[3]);
}

TEST(RopeFrequenciesTest, YarnKeepsFastWavesAndStretchesSlowOnes) {
  ExpectFrequencies(ComputeRopeFrequencies(Rope(RopeKind::kYarn, 4.0, 1024), 1),
                    {1, .075, .005, .00025}, 1.138629);
}

TEST(RopeFrequenciesTest, YarnAttentionFactorFromMscale) {
  RopeConfig config = Rope(RopeKind::kYarn, 40.0, 4096);
  config.mscale = 1.0;
  config.mscale_all_dim = 1.0;
  ExpectFrequencies(ComputeRopeFrequencies(config, 1), {1, .1, .005125, 2.5e-5}, 1.0);
  config.mscale = .707;
  config.mscale_all_dim = .5;
  EXPECT_NEAR(ComputeRopeFrequencies(config, 1).attention_factor, 1.064469, 1e-6);
  config.attention_factor = 1.25;  // given: nothing is derived
  EXPECT_EQ(ComputeRopeFrequencies(config, 1).attention_factor, 1.25f);
}

TEST(RopeFrequenciesTest, YarnWithoutTruncation) {
  RopeConfig config = Rope(RopeKind::kYarn, 32.0, 4096);
  config.theta = 150000.0;
  config.truncate = false;
  ExpectFrequencies(ComputeRopeFrequencies(config, 1), {1, .05081327, .0004564839, 4.099978e-6},
                    1.346574);
}

TEST(RopeFrequenciesTest, Llama3MixesBetweenTwoWavelengths) {
  RopeConfig config = Rope(RopeKind::kLlama3, 8.0, 8192);
  config.dim = 16;
  config.theta = 5e5;
  config.low_freq_factor = 1.0;
  config.high_freq_factor = 4.0;
  ExpectFrequencies(
      ComputeRopeFrequencies(config, 1),
      {1, .1939228, .03760603, .007292665, .000524846, 3.428102e-5, 6.64787e-6, 1.289173e-6}, 1.0);
}

}  // namespace
}  // namespace autodist::model
