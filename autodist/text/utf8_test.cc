#include "autodist/text/utf8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace autodist::text {
namespace {

TEST(Utf8Test, FindsTheFirstInvalidSequence) {
  EXPECT_EQ(FindInvalidUtf8(""), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8(std::string_view("a\0é日👋", 11)), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8("ab\x80"), 2u);            // a continuation byte alone
  EXPECT_EQ(FindInvalidUtf8("a\xC0\xAF"), 1u);         // overlong
  EXPECT_EQ(FindInvalidUtf8("\xED\xA0\x80"), 0u);      // surrogate
  EXPECT_EQ(FindInvalidUtf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(FindInvalidUtf8("日\xE6\x97"), 3u);        // cut at the end
  EXPECT_EQ(FindInvalidUtf8("\xF4\x8F\xBF\xBF"), std::nullopt);
}

TEST(Utf8Test, WalksBothWays) {
  const std::vector<char32_t> characters = {U'a',  U'\0',  0x7F,    0x80,    0x7FF,
                                            0x800, 0xFFFF, 0x10000, 0x10FFFF};
  std::string text;
  for (const char32_t character : characters) AppendCharacter(character, text);
  EXPECT_EQ(CountCharacters(text), characters.size());
  size_t offset = 0;
  for (const char32_t character : characters) {
    EXPECT_EQ(NextCharacter(text, offset), character);
    EXPECT_EQ(CharacterBefore(text, offset), character);
  }
  EXPECT_EQ(offset, text.size());
}

std::string Lossy(const std::vector<std::string_view>& parts) {
  LossyUtf8 lossy;
  std::string out;
  for (const std::string_view part : parts) lossy.Push(part, out);
  lossy.Finish(out);
  return out;
}

TEST(LossyUtf8Test, ReplacesMaximalIllFormedParts) {
  EXPECT_EQ(Lossy({"a\xE6\x97"}), "a\uFFFD");  // one for what could have become one character
  EXPECT_EQ(Lossy({"\xE6\x97z"}), "\uFFFDz");
  EXPECT_EQ(Lossy({"\xF0\x9F\xE6\x97\xA5"}), "\uFFFD日");
  EXPECT_EQ(Lossy({"\xC0\xAF"}), "\uFFFD\uFFFD");            // C0 begins nothing
  EXPECT_EQ(Lossy({"\xED\xA0\x80"}), "\uFFFD\uFFFD\uFFFD");  // A0 may not follow ED
  EXPECT_EQ(Lossy({"\xF0\x80\x80\x41"}),
            "\uFFFD\uFFFD\uFFFD"
            "A");
}

TEST(LossyUtf8Test, CutsMakeNoDifference) {
  const std::string bytes = "a\xF0\x9F\x91\x8B\xE6\x97z\xF0\x9F\x91\xC0\xE6\x97\xA5\xFF\xF0";
  const std::string whole = Lossy({bytes});
  for (size_t i = 0; i <= bytes.size(); ++i) {
    for (size_t j = i; j <= bytes.size(); ++j) {
      const std::string_view view = bytes;
      EXPECT_EQ(Lossy({view.substr(0, i), view.substr(i, j - i), view.substr(j)}), whole);
    }
  }
}

TEST(LossyUtf8Test, HoldsOnlyIncompleteCharacters) {
  LossyUtf8 lossy;
  std::string out;
  lossy.Push("a\xE6", out);
  EXPECT_EQ(out, "a");
  lossy.Push("\x97", out);
  EXPECT_EQ(out, "a");
  lossy.Push("\xA5", out);
  EXPECT_EQ(out, "a日");
}

}  // namespace
}  // namespace autodist::text
