#include "autodist/text/stop_matcher.h"

#include <random>

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

// What passes, part by part, then the flush; "!" at the end when stopped.
std::vector<std::string> Feed(const std::vector<std::string>& stops,
                              const std::vector<std::string>& parts) {
  StopMatcher matcher(stops);
  std::vector<std::string> texts;
  for (const std::string& part : parts) {
    texts.push_back(matcher.Push(part));
    if (matcher.stopped()) {
      texts.back() += "!";
      return texts;
    }
  }
  texts.push_back(matcher.Flush());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(StopMatcherTest, CutsBeforeTheStopString) {
  EXPECT_EQ(Feed({"END"}, {"the END of it"}), (Texts{"the !"}));
  EXPECT_EQ(Feed({"END"}, {"the E", "N", "D"}), (Texts{"the ", "", "!"}));
  EXPECT_EQ(Feed({}, {"a", "b"}), (Texts{"a", "b", ""}));
}

TEST(StopMatcherTest, HoldsBackWhatMayBegin) {
  EXPECT_EQ(Feed({"END"}, {"EN", "EN", "x"}), (Texts{"", "EN", "ENx", ""}));
  EXPECT_EQ(Feed({"END"}, {"an EN"}), (Texts{"an ", "EN"}));
  EXPECT_EQ(Feed({"\n\n"}, {"a\n", "b\n", "\n"}), (Texts{"a", "\nb", "!"}));
  EXPECT_EQ(Feed({"日本"}, {"x日", "日本"}), (Texts{"x", "日!"}));
}

TEST(StopMatcherTest, TheFirstToBeCompleteWinsAndThenTheLongest) {
  EXPECT_EQ(Feed({"abcd", "bc"}, {"xabcd"}), (Texts{"xa!"}));
  EXPECT_EQ(Feed({"bc", "abc"}, {"xabc"}), (Texts{"x!"}));
  EXPECT_EQ(Feed({"aab"}, {"aaab"}), (Texts{"a!"}));
}

TEST(StopMatcherTest, RefusesEmptyAndInvalidStops) {
  EXPECT_EQ(ErrorOf([] {
              StopMatcher({"a", ""});
            }),
            "a stop string is empty, must have at least one character");
  EXPECT_EQ(ErrorOf([] { StopMatcher({"\xE6\x97"}); }), "a stop string is not valid UTF-8");
}

TEST(StopMatcherTest, CutsMakeNoDifferenceAndNothingIsHeldForLong) {
  std::mt19937 random(11);
  const auto word = [&random](size_t longest) {
    std::string text(1 + random() % longest, ' ');
    for (char& byte : text) byte = "ab"[random() % 2];
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    const Texts stops = {word(4), word(6), word(6)};
    const std::string text = word(20);
    // By definition: the shortest prefix that ends in a stop string, less the longest such.
    std::string expected = text;
    bool stops_here = false;
    for (size_t end = 1; end <= text.size() && !stops_here; ++end) {
      for (const std::string& stop : stops) {
        if (!std::string_view(text).substr(0, end).ends_with(stop)) continue;
        if (!stops_here || end - stop.size() < expected.size())
          expected = text.substr(0, end - stop.size());
        stops_here = true;
      }
    }
    StopMatcher matcher(stops);
    std::string passed;
    for (size_t i = 0; i < text.size() && !matcher.stopped(); i += 3) {
      passed += matcher.Push(std::string_view(text).substr(i, 3));
      if (matcher.stopped()) continue;
      EXPECT_LE(std::min(text.size(), i + 3) - passed.size(), 5u);
    }
    EXPECT_EQ(matcher.stopped(), stops_here);
    EXPECT_EQ(passed + matcher.Flush(), expected) << text << " " << ::testing::PrintToString(stops);
  }
}

}  // namespace
}  // namespace autodist::text
