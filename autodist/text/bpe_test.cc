#include "autodist/text/bpe.h"

#include <gmock/gmock.h>

#include <random>

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

using ::testing::ElementsAre;

BpeModel Model(const std::string& json) {
  BpeTables tables("t.json");
  const core::Json file = core::ParseJson(R"({"model":)" + json + "}", "t.json", tables);
  return BpeModel(Component(file["model"], "t.json: model"), std::move(tables));
}

std::vector<std::string> Encode(const BpeModel& model, const std::string& text) {
  std::vector<int32_t> ids;
  model.Encode(text, ids);
  std::vector<std::string> tokens;
  for (const int32_t id : ids) tokens.emplace_back(*model.vocabulary().Token(id));
  return tokens;
}

TEST(BpeTest, MergesTheLowestRankFirstAndTheLeftmostOfEquals) {
  const BpeModel model = Model(BpeText({"a", "b", "c", "ab", "bc", "aa"}, {"b c", "a b", "a a"}));
  EXPECT_THAT(Encode(model, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(Encode(model, "aab"), ElementsAre("a", "ab"));
  EXPECT_THAT(Encode(model, "aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(Encode(model, ""), ElementsAre());
}

TEST(BpeTest, MergesComeAsPairsOrLines) {
  const std::string vocab = R"({"vocab":{"a":0," ":1,"a ":2,"#version":3},"merges":)";
  EXPECT_THAT(Encode(Model(vocab + R"([["a"," "]]})"), "a "), ElementsAre("a "));
  EXPECT_THAT(
      Encode(Model(R"({"vocab":{"a":0,"b":1,"ab":2},"merges":["#version: 0.2","a b"]})"), "ab"),
      ElementsAre("ab"));
  EXPECT_EQ(ErrorOf([&] { Model(vocab + R"(["a b c"]})"); }),
            "t.json: model.merges[0] is not a pair of tokens");
  EXPECT_EQ(ErrorOf([&] { Model(vocab + R"([["a"]]})"); }),
            "t.json: model.merges[0] is not a pair of tokens");
}

TEST(BpeTest, UnknownCharacters) {
  const std::vector<std::string> tokens = {"<unk>", "a"};
  EXPECT_THAT(Encode(Model(BpeText(tokens, {})), "xay"), ElementsAre("a"));
  const std::string unk = R"(,"unk_token":"<unk>")";
  EXPECT_THAT(Encode(Model(BpeText(tokens, {}, unk)), "xyaz"),
              ElementsAre("<unk>", "<unk>", "a", "<unk>"));
  EXPECT_THAT(Encode(Model(BpeText(tokens, {}, unk + R"(,"fuse_unk":true)")), "xyaz"),
              ElementsAre("<unk>", "a", "<unk>"));
  const BpeModel none = Model(BpeText({"a"}, {}, unk));
  EXPECT_EQ(ErrorOf([&] { Encode(none, "x"); }),
            "t.json: model: unk_token \"<unk>\" is needed, but it is not in the vocabulary");
}

TEST(BpeTest, ByteFallback) {
  const std::string options = R"(,"unk_token":"<unk>","byte_fallback":true)";
  EXPECT_THAT(Encode(Model(BpeText(WithByteTokens({"<unk>", "a"}), {}, options)), "a日"),
              ElementsAre("a", "<0xE6>", "<0x97>", "<0xA5>"));
  // All bytes of a character or none.
  EXPECT_THAT(Encode(Model(BpeText({"<unk>", "a", "<0xE6>", "<0x97>"}, {}, options)), "a日"),
              ElementsAre("a", "<unk>"));
}

TEST(BpeTest, AffixesOfWords) {
  const BpeModel suffix =
      Model(BpeText({"a", "b", "b</w>", "ab</w>"}, {"a b</w>"}, R"(,"end_of_word_suffix":"</w>")"));
  EXPECT_THAT(Encode(suffix, "bab"), ElementsAre("b", "ab</w>"));
  const BpeModel prefix = Model(BpeText({"a", "##a", "##b", "ab", "aba"}, {"a ##b", "ab ##a"},
                                        R"(,"continuing_subword_prefix":"##")"));
  EXPECT_THAT(Encode(prefix, "abaa"), ElementsAre("aba", "##a"));
}

TEST(BpeTest, IgnoreMergesTakesWholeWords) {
  const std::vector<std::string> tokens = {"a", "b", "ab"};
  EXPECT_THAT(Encode(Model(BpeText(tokens, {})), "ab"), ElementsAre("a", "b"));
  EXPECT_THAT(Encode(Model(BpeText(tokens, {}, R"(,"ignore_merges":true)")), "ab"),
              ElementsAre("ab"));
}

// What BPE says, without any thought for speed.
std::vector<std::string> EncodeSlowly(const std::vector<std::string>& merges,
                                      const std::string& text) {
  std::vector<std::string> tokens;
  for (const char byte : text) tokens.emplace_back(1, byte);
  while (true) {
    size_t best_rank = merges.size();
    size_t best = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto rank =
          std::find(merges.begin(), merges.end(), tokens[i] + " " + tokens[i + 1]) - merges.begin();
      if (static_cast<size_t>(rank) < best_rank) {
        best_rank = static_cast<size_t>(rank);
        best = i;
      }
    }
    if (best_rank == merges.size()) return tokens;
    tokens[best] += tokens[best + 1];
    tokens.erase(tokens.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(BpeTest, ShortAndLongWordsAgreeWithTheDefinition) {
  std::mt19937 random(7);
  const auto below = [&random](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  for (size_t round = 0; round < 25; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c"};
    std::vector<std::string> merges;
    // Few merges leave neighbours that never join, where long words are cut.
    while (merges.size() <= round) {
      const std::string left = tokens[below(tokens.size())];
      const std::string right = tokens[below(tokens.size())];
      const std::string merge = left + " " + right;
      if (left.size() + right.size() > 9 ||
          std::find(merges.begin(), merges.end(), merge) != merges.end())
        continue;
      merges.push_back(merge);
      if (std::find(tokens.begin(), tokens.end(), left + right) == tokens.end())
        tokens.push_back(left + right);
    }
    const BpeModel model = Model(BpeText(tokens, merges));
    for (const size_t length : {1, 2, 3, 7, 31, 32, 33, 34, 90, 301}) {
      std::string text;
      for (size_t i = 0; i < length; ++i) text.push_back("abc"[below(3)]);
      const std::vector<std::string> expected = EncodeSlowly(merges, text);
      EXPECT_EQ(Encode(model, text), expected) << text;
      EXPECT_EQ(Encode(model, text), expected) << "the second time: " << text;
    }
  }
}

// A token that its own characters do not lead to is not taken for the word that it spells.
TEST(BpeTest, TokensWithoutAWayToThem) {
  const BpeModel model = Model(BpeText({"a", "b", "c", "ab", "bc", "abc"}, {"a b", "b c", "a bc"}));
  for (int time = 0; time < 3; ++time) {
    EXPECT_THAT(Encode(model, "abc"), ElementsAre("ab", "c"));
    EXPECT_THAT(Encode(model, "ab"), ElementsAre("ab"));
  }
}

// Where long pieces are cut, a run of unknown characters still becomes one unk_token.
TEST(BpeTest, CutsLeaveUnknownCharactersTogether) {
  const BpeModel model =
      Model(BpeText({"<unk>", "a", "b", "ab"}, {"a b"}, R"(,"unk_token":"<unk>","fuse_unk":true)"));
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    text += "abbxyaa";
    for (const char* token : {"ab", "b", "<unk>", "a", "a"}) expected.emplace_back(token);
  }
  EXPECT_EQ(Encode(model, text), expected);
}

TEST(BpeTest, MegabytesOfOneCharacter) {  // faults.md row 27
  const BpeModel model =
      Model(BpeText({"a", "aa", "aaaa", "aaaaaaaa"}, {"a a", "aa aa", "aaaa aaaa"}));
  std::vector<int32_t> ids;
  model.Encode(std::string((1 << 20) + 3, 'a'), ids);
  EXPECT_EQ(ids.size(), (1u << 17) + 2);
  EXPECT_EQ(*model.vocabulary().Token(ids.back()), "a");
}

TEST(BpeTest, RefusesWhatDoesNotFitTogether) {  // faults.md row 25
  EXPECT_EQ(ErrorOf([] {
              Model(BpeText({"a", "ab"}, {"a b"}));
            }),
            "t.json: model.merges[0]: token \"b\" is not in the vocabulary");
  EXPECT_EQ(ErrorOf([] {
              Model(BpeText({"a", "b"}, {"a b"}));
            }),
            "t.json: model.merges[0]: token \"ab\" is not in the vocabulary");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":{"a":3,"b":3},"merges":[]})"); }),
            "t.json: model.vocab: tokens \"a\" and \"b\" have the same id 3");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":{"a":-1},"merges":[]})"); }),
            "t.json: model: vocab token \"a\" has id -1, must be an integer in [0, 16777216)");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":{"a":18446744073709551615},"merges":[]})"); }),
            "t.json: model: vocab token \"a\" has id 18446744073709551615, must be an integer in "
            "[0, 16777216)");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":{"a":1.5},"merges":[]})"); }),
            "t.json: model: vocab token \"a\" has id 1.5, must be an integer in [0, 16777216)");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":[],"merges":[]})"); }),
            "t.json: model: field vocab must be an object of tokens and ids");
  EXPECT_EQ(ErrorOf([] { Model(R"({"vocab":{}})"); }),
            "t.json: model: field merges must be an array");
}

TEST(BpeTest, IdsMayHaveGaps) {
  const BpeModel model = Model(R"({"vocab":{"a":5,"b":9},"merges":[]})");
  EXPECT_EQ(model.vocabulary().size(), 10);
  EXPECT_EQ(model.vocabulary().count(), 2u);
  EXPECT_EQ(model.vocabulary().Token(4), std::nullopt);
  EXPECT_EQ(model.vocabulary().Token(10), std::nullopt);
  EXPECT_EQ(model.vocabulary().Token(-1), std::nullopt);
  EXPECT_THAT(Encode(model, "ba"), ElementsAre("b", "a"));
}

}  // namespace
}  // namespace autodist::text
