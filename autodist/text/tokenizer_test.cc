#include "autodist/text/tokenizer.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "autodist/core/file.h"
#include "autodist/text/tokenizer_testing.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Llama-2 in small: byte fallback, "▁" for spaces, <s> in front.
TokenizerText SmallLlama2() {
  TokenizerText text;
  text.model =
      BpeText(WithByteTokens({"<unk>", "<s>", "</s>", "▁", "h", "i", "▁h", "▁hi"}), {"▁ h", "▁h i"},
              R"(,"unk_token":"<unk>","fuse_unk":true,"byte_fallback":true)");
  text.normalizer = R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
                        {"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";
  text.post_processor = R"({"type":"TemplateProcessing",
      "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],
      "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}})";
  text.decoder =
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
      {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";
  text.added_tokens = R"([{"id":0,"content":"<unk>","special":true,"normalized":false},
                          {"id":1,"content":"<s>","special":true,"normalized":false},
                          {"id":2,"content":"</s>","special":true,"normalized":false}])";
  return text;
}

// GPT-2 in small: every byte, two merges.
TokenizerText SmallGpt2() {
  std::vector<std::string> tokens;
  for (char32_t c = 0; c < 0x144; ++c) {
    const bool in_alphabet = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
    if (!in_alphabet) continue;
    std::string token;
    AppendCharacter(c, token);
    tokens.push_back(token);
  }
  tokens.insert(tokens.end(), {"Ġa", "Ġab"});
  TokenizerText text;
  text.model = BpeText(tokens, {"Ġ a", "Ġa b"});
  text.pre_tokenizer = R"({"type":"ByteLevel","add_prefix_space":false})";
  text.post_processor = R"({"type":"ByteLevel"})";
  text.decoder = R"({"type":"ByteLevel"})";
  text.added_tokens = R"([{"id":258,"content":"<|end|>","special":true,"normalized":false},
                          {"id":259,"content":"[x]","lstrip":true,"normalized":false}])";
  return text;
}

TEST(TokenizerTest, ByteFallback) {
  const auto tokenizer = MakeTokenizer(SmallLlama2());
  EXPECT_EQ(tokenizer->vocab_size(), 264);
  const Encoding encoding = tokenizer->EncodeWithTokens("hi hi日", true);
  EXPECT_THAT(encoding.tokens, ElementsAre("<s>", "▁hi", "▁hi", "<0xE6>", "<0x97>", "<0xA5>"));
  EXPECT_EQ(encoding.ids, tokenizer->Encode("hi hi日", true));
  EXPECT_EQ(tokenizer->Tokens(encoding.ids), encoding.tokens);
  EXPECT_EQ(tokenizer->Decode(encoding.ids, /*skip_special_tokens=*/true), "hi hi日");
  EXPECT_EQ(tokenizer->Decode(encoding.ids, /*skip_special_tokens=*/false), "<s> hi hi日");
  EXPECT_THAT(tokenizer->Encode("", true), ElementsAre(1));
  EXPECT_THAT(tokenizer->Encode("", false), ElementsAre());
}

TEST(TokenizerTest, ByteLevelGivesBackEveryText) {
  const auto tokenizer = MakeTokenizer(SmallGpt2());
  std::string text = "ab  ab\r\nabc 日本 👋🏽 \u00A0\u200D";
  text.push_back('\0');
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::string part = text.substr(0, length);
    if (FindInvalidUtf8(part)) continue;
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(part, true), false), part);
  }
}

TEST(TokenizerTest, AddedTokensShowTheTextThatTheyMatched) {
  const auto tokenizer = MakeTokenizer(SmallGpt2());
  const Encoding encoding = tokenizer->EncodeWithTokens(" ab  [x]b<|end|>", false);
  EXPECT_THAT(encoding.tokens, ElementsAre("Ġab", "  [x]", "b", "<|end|>"));
  EXPECT_THAT(tokenizer->Tokens(encoding.ids), ElementsAre("Ġab", "[x]", "b", "<|end|>"));
  EXPECT_EQ(tokenizer->Decode(encoding.ids, false), " ab[x]b<|end|>");
  EXPECT_EQ(tokenizer->Decode(encoding.ids, true), " ab[x]b");
  EXPECT_TRUE(tokenizer->IsSpecial(258));
  EXPECT_FALSE(tokenizer->IsSpecial(259));
  EXPECT_FALSE(tokenizer->IsSpecial(0));
}

// A special token that the normalizer changes is still special (the library prints it here).
TEST(TokenizerTest, SkipsSpecialTokensThatTheNormalizerChanges) {
  TokenizerText text = SmallLlama2();
  text.added_tokens = R"([{"id":2,"content":"</s>","special":true,"normalized":true}])";
  const auto tokenizer = MakeTokenizer(text);
  EXPECT_THAT(tokenizer->EncodeWithTokens("hi </s>", false).tokens, ElementsAre("▁hi", "▁</s>"));
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{7, 2}, false), "hi </s>");
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{7, 2}, true), "hi");
}

TEST(TokenizerTest, PassesOverIdsWithoutToken) {
  const auto tokenizer = MakeTokenizer(SmallGpt2());
  const std::vector<int32_t> ids = {-1, 64, 260, 1 << 30};
  EXPECT_EQ(tokenizer->Decode(ids, false), "a");
  EXPECT_THAT(tokenizer->Tokens(ids), ElementsAre("", "a", "", ""));
}

TEST(TokenizerTest, PostProcessors) {
  TokenizerText text = SmallGpt2();
  text.post_processor = R"({"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0]})";
  EXPECT_THAT(MakeTokenizer(text)->Encode("a", true), ElementsAre(0, 64, 2));
  EXPECT_THAT(MakeTokenizer(text)->Encode("a", false), ElementsAre(64));
  const std::string sequence = R"({"type":"Sequence","processors":[{"type":"ByteLevel"},)";
  text.post_processor = sequence + R"({"type":"BertProcessing","sep":["s",3],"cls":["c",4]}]})";
  EXPECT_THAT(MakeTokenizer(text)->EncodeWithTokens("a", true).tokens, ElementsAre("c", "a", "s"));
  const auto refusal = [&](const std::string& json) {
    text.post_processor = json;
    return ErrorOf([&] { MakeTokenizer(text); });
  };
  EXPECT_THAT(refusal(R"({"type":"Frame"})"),
              HasSubstr("t.json: post_processor: type \"Frame\" is not supported"));
  EXPECT_EQ(refusal(R"({"type":"RobertaProcessing","sep":["</s>",260],"cls":["<s>",0]})"),
            "t.json: post_processor.sep: id 260 must be an integer in [0, 260)");
  const std::string bert = R"({"type":"BertProcessing","sep":["s",3],"cls":["c",4]})";
  EXPECT_EQ(refusal(sequence + bert + "," + bert + "]}"),
            "t.json: post_processor.processors[2]: a second post-processor that adds tokens is not "
            "supported");
  EXPECT_EQ(refusal(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]})"),
            "t.json: post_processor.single[0]: a single text is Sequence A, once");
  EXPECT_EQ(
      refusal(
          R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{}})"),
      "t.json: post_processor.special_tokens[\"x\"] is missing");
}

TEST(TokenizerTest, SpecialIdsOfTheConfiguration) {
  const std::string json = SmallLlama2().Json();
  const auto tokenizer =
      MakeTokenizer(json, R"({"bos_token":"<s>","eos_token":{"content":"</s>"},"pad_token":null})");
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->pad_id(), std::nullopt);
  EXPECT_EQ(MakeTokenizer(json, R"({"eos_token":"<nowhere>"})")->eos_id(), std::nullopt);
}

TEST(TokenizerTest, RefusesOtherModelsByName) {
  const auto refusal = [](const std::string& model) {
    TokenizerText text;
    text.model = model;
    return ErrorOf([&] { MakeTokenizer(text); });
  };
  const std::string read =
      "; read is tokenizer.json with a model of type BPE (byte-level or byte-fallback)";
  EXPECT_EQ(refusal(R"({"type":"Unigram","vocab":[]})"),
            "t.json: model: type \"Unigram\" is not supported" + read);
  // Old files do not say what they are.
  EXPECT_EQ(refusal(R"({"vocab":[["a",0.0]]})"),
            "t.json: model: type \"Unigram\" is not supported" + read);
  EXPECT_EQ(refusal(R"({"vocab":{},"max_input_chars_per_word":100})"),
            "t.json: model: type \"WordPiece\" is not supported" + read);
  EXPECT_EQ(refusal(R"({"vocab":{},"unk_token":"u"})"),
            "t.json: model: type \"WordLevel\" is not supported" + read);
  EXPECT_EQ(refusal("null"), "t.json: field model is missing" + read);
  EXPECT_EQ(refusal(R"({"vocab":{"a":0},"merges":[]})"), "no error");
}

TEST(TokenizerTest, RefusesInvalidText) {
  const auto tokenizer = MakeTokenizer(SmallGpt2());
  EXPECT_EQ(ErrorOf([&] { tokenizer->Encode("ab\xFF", true); }),
            "the text to tokenize is not valid UTF-8 at byte 2");
}

TEST(TokenizerTest, RefusesRegexBombs) {  // faults.md row 26
  TokenizerText text = SmallGpt2();
  text.pre_tokenizer =
      R"({"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated","invert":false})";
  const auto tokenizer = MakeTokenizer(text);
  EXPECT_THAT(
      ErrorOf([&] { tokenizer->Encode(std::string(64, 'a') + "!", true); }),
      HasSubstr("t.json: pre_tokenizer.pattern: the regular expression \"(a+)+$\" was stopped"));
}

TEST(TokenizerTest, LongTextsOfOneKind) {  // faults.md row 27
  const auto gpt2 = MakeTokenizer(SmallGpt2());
  const auto llama2 = MakeTokenizer(SmallLlama2());
  EXPECT_EQ(gpt2->Encode(std::string(1 << 20, 'a'), true).size(), 1u << 20);
  EXPECT_EQ(gpt2->Encode(std::string(1 << 20, ' '), true).size(), 1u << 20);
  EXPECT_EQ(llama2->Encode(std::string(1 << 20, 'h'), false).size(), 1u << 20);
  std::string marks;
  for (int i = 0; i < 10'000; ++i) marks += "\u0301";
  EXPECT_EQ(gpt2->Encode(marks, true).size(), 20'000u);
}

TEST(TokenizerTest, ThreadsShareOne) {
  const auto tokenizer = MakeTokenizer(SmallGpt2());
  const std::string text = "ab ab [x] cab\n 12 日本";
  const std::vector<int32_t> expected = tokenizer->Encode(text, true);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        EXPECT_EQ(tokenizer->Encode(text, true), expected);
        EXPECT_EQ(tokenizer->Decode(expected, true), "ab ab[x] cab\n 12 日本");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TokenizerTest, LoadNamesTheFile) {
  const std::filesystem::path dir = std::filesystem::path(::testing::TempDir()) / "tokenizer_test";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directory(dir);
  core::WriteFileAtomically(dir / "tokenizer.model", "x");
  EXPECT_EQ(ErrorOf([&] { Tokenizer::Load(dir); }),
            (dir / "tokenizer.json").string() +
                ": not found (tokenizer.model is there, but not read); read is "
                "tokenizer.json with a model of type BPE (byte-level or byte-fallback)");
  core::WriteFileAtomically(dir / "tokenizer.json", SmallLlama2().Json());
  EXPECT_EQ(Tokenizer::Load(dir)->eos_id(), std::nullopt);
  core::WriteFileAtomically(dir / "tokenizer_config.json", R"({"eos_token":"</s>"})");
  EXPECT_EQ(Tokenizer::Load(dir)->eos_id(), 2);
  core::WriteFileAtomically(dir / "tokenizer.json", R"({"version":"2.0"})");
  EXPECT_EQ(ErrorOf([&] { Tokenizer::Load(dir); }),
            (dir / "tokenizer.json").string() + ": field version is \"2.0\", must be \"1.0\"");
  core::WriteFileAtomically(dir / "tokenizer.json", "{");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(dir); }),
              HasSubstr("tokenizer.json: not valid JSON at byte 2"));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace autodist::text
