#include "autodist/text/pattern_scanner.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "autodist/text/regex.h"
#include "autodist/text/unicode.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

class PatternScannerTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  // A group around the pattern changes nothing but its spelling, which keeps Oniguruma in charge.
  PatternScannerTest()
      : regex_("(?:" + std::string(GetParam()) + ")", "t.json"),
        scanner_(PatternScanner::For(GetParam())) {}

  void Compare(const std::string& text) const {
    ASSERT_EQ(scanner_->FindAll(text), regex_.FindAll(text)) << ::testing::PrintToString(text);
  }

  Regex regex_;
  std::optional<PatternScanner> scanner_;
};

// What is neither common nor white space behaves by its class alone, so one place tells.
TEST_P(PatternScannerTest, CharactersBetweenEveryTwoKinds) {
  const std::vector<std::string> kinds = {"", "a", "1", " ", "\n", "\t", "!", "'", "\u3000"};
  for (char32_t c = 0; c < 0x110000; c += c < 0x20000 ? 1 : 61) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string character;
    AppendCharacter(c, character);
    std::string text = "a" + character + "!1";
    if (c < 0x250 || IsWhitespace(c)) {
      for (const std::string& before : kinds) {
        for (const std::string& behind : kinds) text += before + character + behind + "x";
      }
    }
    Compare(text);
    if (HasFatalFailure()) return;
  }
}

TEST_P(PatternScannerTest, Contractions) {
  // Letters of contractions, those that other alphabets fold to them, and ligatures.
  const std::vector<std::string> letters = {
      "s", "t", "r",      "e",      "v", "m", "l", "d", "S", "T", "R",      "E",      "V",     "M",
      "L", "D", "\u017F", "\u0149", "x", "'", " ", "1", "",  "!", "\uFB05", "\uFB06", "\u1E9E"};
  for (const std::string& first : letters) {
    for (const std::string& second : letters) {
      for (const char* before : {"", "a", " ", "!", "1", "\n"})
        Compare(before + ("'" + first) + second + "'" + second + first);
    }
  }
}

TEST_P(PatternScannerTest, RandomTexts) {
  const std::vector<std::string> parts = {
      "a",  "Z",   "é",  "日", "\u0301", "1",      "½",        "٣",      " ",
      "  ", "\t",  "\n", "\r", "\r\n",   "\u00A0", "\u3000",   "\u0085", "'s",
      "'S", "'ll", "'",  "!",  "...",    "\u200D", "👋🏽", "_",      std::string(1, '\0')};
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t length = random() % 12; length > 0; --length)
      text += parts[random() % parts.size()];
    Compare(text);
    if (HasFatalFailure()) return;
  }
}

TEST_P(PatternScannerTest, CoversTheText) {
  EXPECT_TRUE(scanner_->FindAll("").empty());
  const std::string spaces(1 << 20, ' ');
  EXPECT_EQ(scanner_->FindAll(spaces + "x"),
            (std::vector<Span>{{0, spaces.size() - 1}, {spaces.size() - 1, spaces.size() + 1}}));
}

INSTANTIATE_TEST_SUITE_P(Patterns, PatternScannerTest,
                         ::testing::Values(kGpt2Pattern, kLlama3Pattern, kQwen2Pattern));

TEST(PatternScanners, AreThree) {
  EXPECT_FALSE(PatternScanner::For(""));
  EXPECT_FALSE(PatternScanner::For(std::string(kGpt2Pattern) + "|x"));
}

}  // namespace
}  // namespace autodist::text
