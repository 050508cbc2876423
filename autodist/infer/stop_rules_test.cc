#include "autodist/infer/stop_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "autodist/core/error.h"

namespace autodist::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int32_t kEos = 2;
constexpr int32_t kWord = 17;
constexpr int64_t kPrompt = 10;

StopRules Rules(int64_t min, int64_t max, int64_t context = 1000) {
  return StopRules({7, kEos}, /*ignore_eos=*/false, min, max, context);
}

TEST(StopRulesTest, AnyEosIdStops) {
  const StopRules rules = Rules(0, 100);
  EXPECT_EQ(rules.After(kWord, kPrompt, 1), std::nullopt);
  EXPECT_EQ(rules.After(kEos, kPrompt, 1), FinishReason::kStop);
  EXPECT_EQ(rules.After(7, kPrompt, 5), FinishReason::kStop);
}

TEST(StopRulesTest, EosIsExcludedUntilTheMinimumExists) {
  const StopRules rules = Rules(3, 100);
  EXPECT_THAT(rules.ExcludedIds(0), ElementsAre(kEos, 7));
  EXPECT_THAT(rules.ExcludedIds(2), ElementsAre(kEos, 7));
  EXPECT_THAT(rules.ExcludedIds(3), IsEmpty());
  EXPECT_THAT(Rules(0, 100).ExcludedIds(0), IsEmpty());
}

TEST(StopRulesTest, MaximumLengthIsExact) {
  const StopRules rules = Rules(0, 4);
  EXPECT_EQ(rules.OutputLimit(kPrompt), 4);
  EXPECT_EQ(rules.After(kWord, kPrompt, 3), std::nullopt);
  EXPECT_EQ(rules.After(kWord, kPrompt, 4), FinishReason::kLength);
  EXPECT_EQ(rules.After(kEos, kPrompt, 4), FinishReason::kStop);
}

TEST(StopRulesTest, TheContextEndsASequence) {
  const StopRules rules = Rules(0, 100, /*context=*/12);
  EXPECT_EQ(rules.OutputLimit(kPrompt), 2);
  EXPECT_EQ(rules.After(kWord, kPrompt, 1), std::nullopt);
  EXPECT_EQ(rules.After(kWord, kPrompt, 2), FinishReason::kLength);
  EXPECT_EQ(rules.OutputLimit(12), 0);
  EXPECT_EQ(rules.OutputLimit(13), 0);
}

TEST(StopRulesTest, IgnoredEosIsATokenLikeAnyOther) {
  const StopRules rules({kEos}, /*ignore_eos=*/true, 3, 4, 1000);
  EXPECT_THAT(rules.ExcludedIds(0), IsEmpty());
  EXPECT_EQ(rules.After(kEos, kPrompt, 1), std::nullopt);
  EXPECT_EQ(rules.After(kEos, kPrompt, 4), FinishReason::kLength);
}

TEST(StopRulesTest, AModelWithoutEosRunsToTheLimit) {
  const StopRules rules({}, /*ignore_eos=*/false, 3, 4, 1000);
  EXPECT_THAT(rules.ExcludedIds(0), IsEmpty());
  EXPECT_EQ(rules.After(kEos, kPrompt, 3), std::nullopt);
  EXPECT_EQ(rules.After(kEos, kPrompt, 4), FinishReason::kLength);
}

std::string Refusal(int64_t min, int64_t max) {
  try {
    Rules(min, max);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(StopRulesTest, ImpossibleLengthsAreRefused) {
  EXPECT_EQ(Refusal(0, 0), "--max-output-length is 0, must be at least 1");
  EXPECT_EQ(Refusal(0, INT64_MIN),
            "--max-output-length is -9223372036854775808, must be at least 1");
  EXPECT_EQ(Refusal(-1, 5), "--min-output-length is -1, must be at least 0");
  EXPECT_EQ(Refusal(6, 5), "--min-output-length is 6, must be at most --max-output-length 5");
  EXPECT_EQ(Refusal(5, 5), "");
}

TEST(StopRulesTest, ReasonsAsWrittenToJson) {
  EXPECT_EQ(NameOf(FinishReason::kStop), "stop");
  EXPECT_EQ(NameOf(FinishReason::kLength), "length");
}

}  // namespace
}  // namespace autodist::infer
