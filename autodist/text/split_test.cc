#include "autodist/text/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace autodist::text {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(const std::string& text, const std::string& pattern,
                               SplitBehavior behavior, bool invert = false) {
  std::vector<std::string> parts;
  const auto matches = Regex(pattern, "test").FindAll(text);
  for (const Span& span : SplitAtMatches(text.size(), matches, behavior, invert)) {
    parts.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return parts;
}

TEST(SplitTest, Behaviors) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(Split(text, "-", SplitBehavior::kRemoved), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(Split(text, "-", SplitBehavior::kIsolated),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(Split(text, "-", SplitBehavior::kMergedWithPrevious),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(Split(text, "-", SplitBehavior::kMergedWithNext),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(Split(text, "-", SplitBehavior::kContiguous),
              ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(SplitTest, InvertExchangesMatchesAndText) {
  EXPECT_THAT(Split("ab12c", "[a-z]+", SplitBehavior::kRemoved, true), ElementsAre("ab", "c"));
  EXPECT_THAT(Split("ab12c", "[a-z]+", SplitBehavior::kMergedWithNext, true),
              ElementsAre("ab", "12c"));
}

TEST(SplitTest, MatchesAtTheEdges) {
  EXPECT_THAT(Split("-a-", "-", SplitBehavior::kMergedWithPrevious), ElementsAre("-", "a-"));
  EXPECT_THAT(Split("-a-", "-", SplitBehavior::kMergedWithNext), ElementsAre("-a", "-"));
  EXPECT_THAT(Split("--", "-", SplitBehavior::kContiguous), ElementsAre("--"));
  EXPECT_THAT(Split("", "-", SplitBehavior::kIsolated), ElementsAre());
}

TEST(SplitTest, NamesOfBehaviors) {
  EXPECT_EQ(ParseSplitBehavior("MergedWithNext"), SplitBehavior::kMergedWithNext);
  EXPECT_EQ(ParseSplitBehavior("isolated"), std::nullopt);
}

}  // namespace
}  // namespace autodist::text
