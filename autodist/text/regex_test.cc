#include "autodist/text/regex.h"

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

std::vector<Span> Find(const std::string& pattern, const std::string& text) {
  return Regex(pattern, "t.json: pattern").FindAll(text);
}

TEST(RegexTest, FindsFromLeftToRight) {
  EXPECT_EQ(Find("a+", "aabaa"), (std::vector<Span>{{0, 2}, {3, 5}}));
  EXPECT_EQ(Find("x", ""), (std::vector<Span>{}));
  EXPECT_EQ(Find("日", "a日b日"), (std::vector<Span>{{1, 4}, {5, 8}}));
  EXPECT_EQ(Find("(?<=a)b", "abab"),
            (std::vector<Span>{{1, 2}, {3, 4}}));  // sees the text before the start
}

TEST(RegexTest, EmptyMatchesBehindAMatchAreSkipped) {
  EXPECT_EQ(Find("a*", "baac"), (std::vector<Span>{{0, 0}, {1, 3}, {4, 4}}));
  EXPECT_EQ(Find("", "日"), (std::vector<Span>{{0, 0}, {3, 3}}));
}

TEST(RegexTest, ClassesAreThoseOfUnicode) {
  EXPECT_EQ(Find(R"(\s)", "\u0085").size(), 1u);
  EXPECT_EQ(Find(R"(\s)", "\u3000").size(), 1u);
  EXPECT_EQ(Find(R"(\s)", "\u180E\u200B\uFEFF\u001C").size(), 0u);
  EXPECT_EQ(Find(R"(\p{L})", "aé日\u017F").size(), 4u);
  EXPECT_EQ(Find(R"(\p{N})", "1½Ⅷ٣").size(), 4u);
  EXPECT_EQ(Find("(?i:'s)", "'S's'\u017F").size(), 3u);  // U+017F folds to s
}

TEST(RegexTest, RefusesWhatDoesNotCompile) {
  EXPECT_EQ(ErrorOf([] { Regex("(a", "t.json: pattern"); }),
            "t.json: pattern: the regular expression \"(a\" does not compile: end pattern with "
            "unmatched parenthesis");
}

TEST(RegexTest, StopsBombs) {
  for (const char* bomb : {"(a+)+$", "(a|a)*$", "(a*)*$"}) {
    const std::string error = ErrorOf([&] { Find(bomb, std::string(40, 'a') + "c"); });
    EXPECT_NE(error.find(bomb), std::string::npos) << error;
    EXPECT_NE(error.find("was stopped on a text of 41 bytes"), std::string::npos) << error;
  }
  // Quadratic over the search, though each try is linear.
  EXPECT_NE(ErrorOf([] { Find("a*b", std::string(1 << 17, 'a') + " b"); }), "no error");
}

TEST(RegexTest, LimitsLeaveRoomForLongTexts) {
  // The look-ahead takes back one step of a megabyte.
  const std::string spaces(1 << 20, ' ');
  EXPECT_EQ(Find(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces + "x"),
            (std::vector<Span>{{0, spaces.size() - 1}, {spaces.size() - 1, spaces.size()}}));
}

}  // namespace
}  // namespace autodist::text
