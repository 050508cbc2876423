#include "autodist/text/unicode.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>

#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

std::string Lower(char32_t character) {
  std::string out;
  AppendLowercase(character, out);
  return out;
}

TEST(UnicodeTest, WhitespaceIsWhiteSpaceOfUnicode) {
  for (const char32_t c : {U' ', U'\t', U'\n', U'\v', U'\f', U'\r', U'\u0085', U'\u00A0', U'\u1680',
                           U'\u2028', U'\u3000'}) {
    EXPECT_TRUE(IsWhitespace(c)) << static_cast<uint32_t>(c);
  }
  for (const char32_t c : {U'\u001C', U'\u180E', U'\u200B', U'\uFEFF', U'a'}) {
    EXPECT_FALSE(IsWhitespace(c)) << static_cast<uint32_t>(c);
  }
}

TEST(UnicodeTest, PunctuationIncludesAsciiSymbols) {
  for (const char32_t c : {U'$', U'+', U'<', U'^', U'`', U'|', U'~', U'_', U'!', U'«', U'。'})
    EXPECT_TRUE(IsPunctuation(c));
  for (const char32_t c : {U'a', U'0', U' ', U'\x7F', U'€', U'×'}) EXPECT_FALSE(IsPunctuation(c));
  EXPECT_FALSE(IsPunctuation(0x2E52));  // Unicode 14: too young
  EXPECT_TRUE(IsPunctuation(0x166D));   // a symbol since Unicode 12
}

TEST(UnicodeTest, LowercaseIsPerCharacter) {
  EXPECT_EQ(Lower(U'Å'), "å");
  EXPECT_EQ(Lower(U'Σ'), "σ");  // no final sigma
  EXPECT_EQ(Lower(0x130), "i\u0307");
  EXPECT_EQ(Lower(0x16EB8), "\U00016ED3");  // Unicode 17
}

TEST(NormalizeTest, Forms) {
  const std::string text = "e\u0301 \u00E9 \u212B \uFB01 \u1E9B\u0323";
  EXPECT_EQ(Normalize(text, NormalForm::kNfc), "\u00E9 \u00E9 \u00C5 \uFB01 \u1E9B\u0323");
  EXPECT_EQ(Normalize(text, NormalForm::kNfd), "e\u0301 e\u0301 A\u030A \uFB01 \u017F\u0323\u0307");
  EXPECT_EQ(Normalize(text, NormalForm::kNfkc), "\u00E9 \u00E9 \u00C5 fi \u1E69");
  EXPECT_EQ(Normalize(text, NormalForm::kNfkd), "e\u0301 e\u0301 A\u030A fi s\u0323\u0307");
  EXPECT_EQ(Normalize("\u1112\u1161\u11AB", NormalForm::kNfc), "\uD55C");
}

TEST(NormalizeTest, LeavesLaterCharactersWhereTheyAre) {
  EXPECT_EQ(Normalize("\u32FF", NormalForm::kNfkc), "\u32FF");  // Unicode 12.1
  // U+1ABF (Unicode 13) has combining class 220; to Unicode 9 it is no mark, so 0301 stays before
  // it.
  EXPECT_EQ(Normalize("a\u0301\u1ABF", NormalForm::kNfd), "a\u0301\u1ABF");
  EXPECT_EQ(Normalize("a\u0301\u0316", NormalForm::kNfd), "a\u0316\u0301");
  EXPECT_EQ(Normalize("a\u1ABF\u0301", NormalForm::kNfc), "a\u1ABF\u0301");
}

TEST(NormalizeTest, OrdersLongRunsOfMarks) {
  // Alternating classes 230 and 220: a bubble sort would need 2.5e9 exchanges here.
  std::string marks = "a";
  std::string ordered_end;
  for (int i = 0; i < 100'000; ++i) marks += i % 2 == 0 ? "\u0308" : "\u0323";
  const std::string sorted = Normalize(marks, NormalForm::kNfd);
  ASSERT_EQ(sorted.size(), marks.size());
  EXPECT_EQ(sorted.substr(0, 7), "a\u0323\u0323\u0323");
  EXPECT_EQ(sorted.substr(sorted.size() - 4), "\u0308\u0308");
  EXPECT_EQ(Normalize(marks, NormalForm::kNfc).substr(0, 5),
            "\u1EA1\u0323");  // a with dot below, then the rest
}

}  // namespace
}  // namespace autodist::text
