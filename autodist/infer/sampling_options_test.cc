#include "autodist/infer/sampling_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "autodist/core/error.h"

namespace autodist::infer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The message of the refusal, or "" when the options are accepted.
std::string Refusal(const std::function<void(SamplingOptions&)>& change) {
  SamplingOptions options;
  change(options);
  try {
    Validate(options);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(SamplingOptionsTest, DefaultIsGreedyAndValid) {
  const SamplingOptions options;
  EXPECT_TRUE(options.greedy());
  EXPECT_TRUE(options.keeps_all());
  EXPECT_NO_THROW(Validate(options));
}

TEST(SamplingOptionsTest, LimitsThemselvesAreAccepted) {
  for (double value : {0.0, 1e-6, 1.0, 100.0}) {
    EXPECT_EQ(Refusal([&](SamplingOptions& o) { o.temperature = value; }), "");
  }
  for (int64_t value : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{INT32_MAX}}) {
    EXPECT_EQ(Refusal([&](SamplingOptions& o) { o.top_k = value; }), "");
  }
  for (double value : {1e-300, 0.5, 1.0}) {
    EXPECT_EQ(Refusal([&](SamplingOptions& o) { o.top_p = value; }), "");
  }
  for (double value : {0.0, 0.5, 1.0}) {
    EXPECT_EQ(Refusal([&](SamplingOptions& o) { o.min_p = value; }), "");
  }
  for (double value : {0.01, 1.0, 100.0}) {
    EXPECT_EQ(Refusal([&](SamplingOptions& o) { o.repetition_penalty = value; }), "");
  }
  EXPECT_EQ(Refusal([](SamplingOptions& o) { o.seed = UINT64_MAX; }), "");
}

TEST(SamplingOptionsTest, RefusalNamesFlagValueAndLimit) {
  EXPECT_EQ(Refusal([](SamplingOptions& o) { o.temperature = -1; }),
            "--temperature is -1, must be 0 (greedy) or in [1e-06, 100]");
  EXPECT_EQ(Refusal([](SamplingOptions& o) { o.top_p = 2; }),
            "--top-p is 2, must be above 0 and at most 1");
  EXPECT_EQ(Refusal([](SamplingOptions& o) { o.top_k = -5; }),
            "--top-k is -5, must be in [1, 2147483647], or 0 or -1 for all tokens");
}

TEST(SamplingOptionsTest, OutOfRangeIsRefused) {
  for (double value : {kNan, kInfinity, -kInfinity, -1.0, 1e-9, 100.5, 1e9}) {
    EXPECT_THAT(Refusal([&](SamplingOptions& o) { o.temperature = value; }),
                HasSubstr("--temperature"));
  }
  for (int64_t value : {int64_t{INT64_MIN}, int64_t{-2}, int64_t{INT32_MAX} + 1, INT64_MAX}) {
    EXPECT_THAT(Refusal([&](SamplingOptions& o) { o.top_k = value; }), HasSubstr("--top-k"));
  }
  for (double value : {kNan, kInfinity, -0.1, 0.0, 1.0001}) {
    EXPECT_THAT(Refusal([&](SamplingOptions& o) { o.top_p = value; }), HasSubstr("--top-p"));
  }
  for (double value : {kNan, kInfinity, -0.1, 1.0001}) {
    EXPECT_THAT(Refusal([&](SamplingOptions& o) { o.min_p = value; }), HasSubstr("--min-p"));
  }
  for (double value : {kNan, kInfinity, -1.0, 0.0, 0.001, 101.0}) {
    EXPECT_THAT(Refusal([&](SamplingOptions& o) { o.repetition_penalty = value; }),
                AllOf(HasSubstr("--repetition-penalty"), HasSubstr("[0.01, 100]")));
  }
}

}  // namespace
}  // namespace autodist::infer
