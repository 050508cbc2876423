#include "autodist/text/pre_tokenizer.h"

#include <gmock/gmock.h>

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(const std::string& json, const std::string& text,
                               bool at_origin = true) {
  const core::Json parsed = core::ParseJson(json, "t.json");
  Pieces pieces;
  pieces.Append(text, std::nullopt, at_origin);
  ParsePreTokenizer(Component(parsed, "t.json: pre_tokenizer"))->Apply(pieces);
  std::vector<std::string> result;
  for (const Piece& piece : pieces.pieces) result.emplace_back(pieces.Text(piece));
  return result;
}

std::string SplitJson(const std::string& regex) {
  return R"({"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":)" +
         core::Json(regex).dump() + "}}";
}

TEST(PreTokenizerTest, Gpt2) {
  const std::string byte_level = R"({"type":"ByteLevel","add_prefix_space":false})";
  EXPECT_THAT(Split(byte_level, "Hello  world's 12345\n\n x"),
              ElementsAre("Hello", "Ġ", "Ġworld", "'s", "Ġ12345", "ĊĊ", "Ġx"));
  EXPECT_THAT(Split(byte_level, "日"), ElementsAre("æĹ¥"));
  EXPECT_THAT(Split(R"({"type":"ByteLevel","add_prefix_space":true})", "a"), ElementsAre("Ġa"));
  EXPECT_THAT(Split(R"({"type":"ByteLevel","add_prefix_space":true})", " a"), ElementsAre("Ġa"));
  EXPECT_THAT(Split(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})", "a b"),
              ElementsAre("aĠb"));
}

TEST(PreTokenizerTest, Llama3) {
  const std::string split = SplitJson(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  EXPECT_THAT(Split(split, "Hello  world'S 12345\n\n x"),
              ElementsAre("Hello", " ", " world", "'S", " ", "123", "45", "\n\n", " x"));
  EXPECT_THAT(Split(split, "a'\u017Fx"), ElementsAre("a", "'\u017F", "x"));
  EXPECT_THAT(Split(split, "a'LLb"), ElementsAre("a", "'LL", "b"));
  EXPECT_THAT(Split(split, "  \n  a"), ElementsAre("  \n", " ", " a"));
  EXPECT_THAT(Split(split, "a \r\n\r\n b"), ElementsAre("a", " \r\n\r\n", " b"));
  EXPECT_THAT(Split(split, "x\u00A0y"), ElementsAre("x", "\u00A0y"));
  EXPECT_THAT(Split(split, "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(Split(split, "日本語123"), ElementsAre("日本語", "123"));
  EXPECT_THAT(Split(split, "a\u0301e"), ElementsAre("a", "\u0301e"));
}

TEST(PreTokenizerTest, Metaspace) {
  const auto json = [](const char* scheme) {
    return fmt::format(R"({{"type":"Metaspace","replacement":"▁","prepend_scheme":"{}"}})", scheme);
  };
  EXPECT_THAT(Split(json("first"), "Hey  friend"), ElementsAre("▁Hey", "▁", "▁friend"));
  EXPECT_THAT(Split(json("always"), "Hey  friend"), ElementsAre("▁Hey", "▁", "▁friend"));
  EXPECT_THAT(Split(json("never"), "Hey  friend"), ElementsAre("Hey", "▁", "▁friend"));
  EXPECT_THAT(Split(json("first"), " x"), ElementsAre("▁x"));
  EXPECT_THAT(Split(json("first"), "x", /*at_origin=*/false), ElementsAre("x"));
  EXPECT_THAT(Split(json("always"), "x", /*at_origin=*/false), ElementsAre("▁x"));
  EXPECT_THAT(
      Split(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})",
            "a b"),
      ElementsAre("▁a▁b"));
}

TEST(PreTokenizerTest, CharacterClasses) {
  EXPECT_THAT(Split(R"({"type":"Digits","individual_digits":true})", "a12½b"),
              ElementsAre("a", "1", "2", "½", "b"));
  EXPECT_THAT(Split(R"({"type":"Digits","individual_digits":false})", "a12b3"),
              ElementsAre("a", "12", "b", "3"));
  EXPECT_THAT(Split(R"({"type":"Punctuation"})", "a,!b"), ElementsAre("a", ",", "!", "b"));
  EXPECT_THAT(Split(R"({"type":"Punctuation","behavior":"Contiguous"})", "a,!b"),
              ElementsAre("a", ",!", "b"));
  EXPECT_THAT(Split(R"({"type":"Whitespace"})", "Hey, yöu\u200D_1 -?!"),
              ElementsAre("Hey", ",", "yöu\u200D_1", "-?!"));
  EXPECT_THAT(Split(R"({"type":"WhitespaceSplit"})", "a,\u3000b\n"), ElementsAre("a,", "b"));
  EXPECT_THAT(Split(R"({"type":"CharDelimiterSplit","delimiter":"-"})", "a--b"),
              ElementsAre("a", "b"));
}

TEST(PreTokenizerTest, SequenceCutsWhatIsLeft) {
  EXPECT_THAT(
      Split(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
                        {"type":"ByteLevel","add_prefix_space":false}]})",
            "is 42, ok"),
      ElementsAre("is", "Ġ", "4", "2", ",", "Ġok"));
}

TEST(PreTokenizerTest, AddedTokensAreLeftAlone) {
  const core::Json json =
      core::ParseJson(R"({"type":"ByteLevel","add_prefix_space":true})", "t.json");
  Pieces pieces;
  pieces.Append(" < > ", 7, true);
  pieces.Append("a b", std::nullopt, false);
  ParsePreTokenizer(Component(json, "t"))->Apply(pieces);
  ASSERT_EQ(pieces.pieces.size(), 3u);
  EXPECT_EQ(pieces.pieces[0].token, 7);
  EXPECT_EQ(pieces.Text(pieces.pieces[0]), " < > ");
  EXPECT_EQ(pieces.Text(pieces.pieces[1]), "Ġa");
}

TEST(PreTokenizerTest, RefusesByName) {
  EXPECT_EQ(ErrorOf([] { Split(R"({"type":"UnicodeScripts"})", "a"); }).substr(0, 63),
            "t.json: pre_tokenizer: type \"UnicodeScripts\" is not supported; ");
  EXPECT_EQ(
      ErrorOf([] { Split(R"({"type":"Split","pattern":{"String":"a"},"behavior":"x"})", "a"); }),
      "t.json: pre_tokenizer: field behavior is \"x\", must be Removed, Isolated, "
      "MergedWithPrevious, "
      "MergedWithNext or Contiguous");
  EXPECT_EQ(ErrorOf([] { Split(R"({"type":"Metaspace","replacement":"ab"})", "a"); }),
            "t.json: pre_tokenizer: field replacement is \"ab\", must be one character");
  EXPECT_EQ(ErrorOf([] {
              Split(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":false})", "a");
            }),
            "t.json: pre_tokenizer: field add_prefix_space is false, but prepend_scheme is "
            "\"always\", must be never");
}

}  // namespace
}  // namespace autodist::text
