#include "autodist/text/added_tokens.h"

#include <gmock/gmock.h>

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

using ::testing::ElementsAre;

// Added tokens as the only tokens, ids 0, 1, ...; `tokens` are the inner parts of JSON objects.
AddedTokens Make(const std::vector<std::string>& tokens, const Normalizer* normalizer = nullptr) {
  core::Json list = core::Json::array();
  for (const std::string& token : tokens) {
    list.push_back(core::ParseJson("{" + token + "}", "t.json"));
    if (!list.back().contains("id")) list.back()["id"] = list.size() - 1;
  }
  return AddedTokens(&list, "t.json: added_tokens", Vocabulary({}, "t.json"), normalizer);
}

// The pieces, added tokens in brackets.
std::vector<std::string> Extract(const AddedTokens& tokens, const std::string& text,
                                 const Normalizer* normalizer = nullptr) {
  const Pieces pieces = tokens.Extract(text, normalizer);
  std::vector<std::string> result;
  for (const Piece& piece : pieces.pieces) {
    const std::string content(pieces.Text(piece));
    result.push_back(piece.token ? "(" + content + ")" : content);
  }
  return result;
}

TEST(AddedTokensTest, FindsTheLeftmostLongest) {
  const AddedTokens tokens =
      Make({R"("content":"<a>")", R"("content":"<a><b>")", R"("content":"b>c")"});
  EXPECT_THAT(Extract(tokens, "x<a><b>c<a>"), ElementsAre("x", "(<a><b>)", "c", "(<a>)"));
  EXPECT_THAT(Extract(tokens, "<a<a>"), ElementsAre("<a", "(<a>)"));
  EXPECT_THAT(Extract(tokens, ""), ElementsAre());
  EXPECT_EQ(tokens.Find("<a><b>"), 1);
  EXPECT_EQ(tokens.Find("x"), std::nullopt);
  EXPECT_EQ(tokens.Token(3), nullptr);
}

TEST(AddedTokensTest, StripsSwallowWhiteSpace) {
  const AddedTokens both = Make({R"("content":"[X]","lstrip":true,"rstrip":true)"});
  EXPECT_THAT(Extract(both, "a  [X]  a"), ElementsAre("a", "(  [X]  )", "a"));
  EXPECT_THAT(Extract(both, "[X] \u3000\n[X]"), ElementsAre("([X] \u3000\n)", "([X])"));
  const AddedTokens left = Make({R"("content":"[X]","lstrip":true)"});
  EXPECT_THAT(Extract(left, "a  [X]  a"), ElementsAre("a", "(  [X])", "  a"));
}

TEST(AddedTokensTest, SingleWordNeedsNoWordBeside) {
  const AddedTokens tokens = Make({R"("content":"ing","single_word":true)"});
  EXPECT_THAT(Extract(tokens, "sing ing, inging éing ing"),
              ElementsAre("sing ", "(ing)", ", inging éing ", "(ing)"));
}

TEST(AddedTokensTest, NormalizedTokensAreFoundInNormalizedText) {
  const core::Json json = core::ParseJson(R"({"type":"Lowercase"})", "t.json");
  const auto lower = ParseNormalizer(Component(json, "t.json"));
  const AddedTokens tokens =
      Make({R"("content":"Day","normalized":true)", R"("content":"[D]","normalized":false)"},
           lower.get());
  EXPECT_THAT(Extract(tokens, "A DAY [D] [d]", lower.get()),
              ElementsAre("a ", "(day)", " ", "([D])", " [d]"));
  EXPECT_EQ(tokens.Token(0)->pattern, "day");
}

TEST(AddedTokensTest, KeepIdsOfTheModel) {
  TokenList list_of_model;
  list_of_model.Add("a", 0);
  list_of_model.Add("</s>", 1);
  const Vocabulary vocabulary(std::move(list_of_model), "t.json");
  const core::Json list =
      core::ParseJson(R"([{"id":1,"content":"</s>"},{"id":2,"content":"new"}])", "t.json");
  const AddedTokens tokens(&list, "t.json: added_tokens", vocabulary, nullptr);
  EXPECT_EQ(tokens.Find("</s>"), 1);
  EXPECT_EQ(tokens.max_id(), 2);
}

TEST(AddedTokensTest, RefusesWhatDoesNotFitTogether) {  // faults.md row 25
  EXPECT_EQ(ErrorOf([] { Make({R"("content":"x","id":7)"}); }),
            "t.json: added_tokens[0]: token \"x\" has id 7, but its place in the vocabulary of 0 "
            "tokens gives it 0");
  EXPECT_EQ(ErrorOf([] {
              Make({R"("content":"x")", R"("content":"x","id":0)"});
            }),
            "t.json: added_tokens[1]: token \"x\" is there twice");
  EXPECT_EQ(ErrorOf([] { Make({R"("content":"")"}); }),
            "t.json: added_tokens[0]: content \"\" must have 1 to 1024 bytes, before and after the "
            "normalizer");
  EXPECT_EQ(ErrorOf([] { Make({R"("content":"\n","rstrip":true)"}); }),
            "t.json: added_tokens[0]: content \"\n\" is white space, which rstrip does not allow");
}

TEST(AddedTokensTest, MegabytesOfWhiteSpace) {  // faults.md row 27
  const AddedTokens tokens =
      Make({R"("content":"\n","lstrip":true)", R"("content":"x","rstrip":true,"lstrip":true)"});
  EXPECT_EQ(tokens.Extract(std::string(1 << 20, '\n'), nullptr).pieces.size(), 1u << 20);
  EXPECT_EQ(tokens.Extract(std::string(1 << 20, ' '), nullptr).pieces.size(), 1u);
}

}  // namespace
}  // namespace autodist::text
