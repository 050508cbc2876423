#include "autodist/text/decoder.h"

#include <random>

#include "autodist/text/tokenizer_testing.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

class TestDecoder {
 public:
  explicit TestDecoder(const std::string& json)
      : json_(core::ParseJson(json, "t.json")),
        decoder_(json_.is_null() ? nullptr : &json_, "t.json: decoder") {}

  std::string Decode(const std::vector<std::string>& tokens) const {
    std::string text;
    const auto step = decoder_.Start(text);
    for (const std::string& token : tokens) step->Push(token);
    step->Finish();
    return text;
  }

  // Text that is certain after each token, and at the end.
  std::vector<std::string> Stream(const std::vector<std::string>& tokens) const {
    std::string text;
    const auto step = decoder_.Start(text);
    std::vector<std::string> states;
    for (const std::string& token : tokens) {
      step->Push(token);
      states.push_back(text);
    }
    step->Finish();
    states.push_back(text);
    return states;
  }

 private:
  core::Json json_;
  Decoder decoder_;
};

using Texts = std::vector<std::string>;

constexpr const char* kByteLevel = R"({"type":"ByteLevel"})";
constexpr const char* kLlama2 =
    R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
        {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";

TEST(DecoderTest, ByteLevelJoinsBytesOfTokens) {
  const TestDecoder decoder(kByteLevel);
  EXPECT_EQ(decoder.Decode({"Hello", "Ġworld", "Ċ"}), "Hello world\n");
  EXPECT_EQ(decoder.Decode({"æĹ"}), "\uFFFD");
  EXPECT_EQ(decoder.Decode({"æĹ", "¥"}), "日");
  EXPECT_EQ(decoder.Decode({"a b", "Ġ"}),
            "a b ");  // a space is not in the alphabet: the token as it is
  EXPECT_EQ(decoder.Stream({"æ", "Ĺ", "¥Ġ"}), (Texts{"", "", "日 ", "日 "}));
}

TEST(DecoderTest, ByteFallbackReplacesEachByteOfAnInvalidRun) {
  const TestDecoder decoder(R"({"type":"ByteFallback"})");
  EXPECT_EQ(decoder.Decode({"<0xE6>", "<0x97>"}), "\uFFFD\uFFFD");
  EXPECT_EQ(decoder.Decode({"a", "<0xE6>", "b"}), "a\uFFFDb");
  EXPECT_EQ(decoder.Decode({"<0xE6>", "<0x97>", "<0xA5>", "x"}), "日x");
  EXPECT_EQ(decoder.Decode({"<0xE6>", "<0x97>", "<0xA5>", "<0xe6>"}), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(decoder.Decode({"<0x1>", "<0xGG>", "<0x41"}), "<0x1><0xGG><0x41");
  // A character of a run is not certain before the run has ended.
  EXPECT_EQ(decoder.Stream({"a", "<0x41>", "<0xFF>", "b"}),
            (Texts{"a", "a", "a", "a\uFFFD\uFFFDb", "a\uFFFD\uFFFDb"}));
}

TEST(DecoderTest, Llama2DropsTheFirstSpaceOnly) {
  const TestDecoder decoder(kLlama2);
  EXPECT_EQ(decoder.Decode({"▁Hey", "▁▁", "fri", "end"}), "Hey  friend");
  EXPECT_EQ(decoder.Decode({"▁▁a"}), " a");
  EXPECT_EQ(decoder.Decode({"▁", "▁a"}), " a");
  EXPECT_EQ(decoder.Stream({"▁", "a", "▁b"}), (Texts{"", "a", "a b", "a b"}));
}

TEST(DecoderTest, Metaspace) {
  const TestDecoder decoder(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})");
  EXPECT_EQ(decoder.Decode({"▁Hey", "▁", "▁fri", "end"}), "Hey  friend");
  EXPECT_EQ(decoder.Decode({"▁a▁b", "▁c"}),
            "ab c");  // every one of the first token, as in the library
  const TestDecoder never(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})");
  EXPECT_EQ(never.Decode({"▁Hey"}), " Hey");
}

TEST(DecoderTest, BpeDecoderEndsWords) {
  const TestDecoder decoder(R"({"type":"BPEDecoder","suffix":"</w>"})");
  EXPECT_EQ(decoder.Decode({"hel", "lo</w>", "you</w>"}), "hello you");
  EXPECT_EQ(decoder.Decode({}), "");
  EXPECT_EQ(decoder.Stream({"a</w>", "b</w>"}), (Texts{"", "a ", "a b"}));
}

TEST(DecoderTest, StripCutsTokensOrTheWholeText) {
  EXPECT_EQ(TestDecoder(R"({"type":"Strip","content":"H","start":1,"stop":1})")
                .Decode({"Hey", "HHaH", "x"}),
            "eyHax");
  const TestDecoder whole(
      R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":"_","start":2,"stop":1}]})");
  EXPECT_EQ(whole.Decode({"_", "_", "_a_", "_"}), "_a_");
  EXPECT_EQ(whole.Decode({"__", "a", "_b"}), "a_b");
  EXPECT_EQ(whole.Stream({"_a", "_", "_", "b"}), (Texts{"a", "a", "a_", "a__b", "a__b"}));
}

TEST(DecoderTest, ReplaceBehindFuseSeesAcrossTokens) {
  const TestDecoder decoder(R"({"type":"Sequence","decoders":[{"type":"Fuse"},
                               {"type":"Replace","pattern":{"Regex":" +"},"content":"-"}]})");
  EXPECT_EQ(decoder.Decode({"a ", " b"}), "a-b");
}

TEST(DecoderTest, WithoutDecoderTokensAreJoinedBySpaces) {
  const TestDecoder decoder("null");
  EXPECT_EQ(decoder.Decode({"a", "b", "c"}), "a b c");
  EXPECT_EQ(TestDecoder(R"({"type":"Sequence","decoders":[]})").Decode({"a", "b"}), "ab");
}

TEST(DecoderTest, RefusesByName) {
  EXPECT_EQ(ErrorOf([] { TestDecoder(R"({"type":"Sequence","decoders":[{"type":"CTC"}]})"); }),
            "t.json: decoder.decoders[0]: type \"CTC\" is not supported; read are: ByteLevel, "
            "ByteFallback, Fuse, "
            "Replace, Strip, Metaspace, BPEDecoder, Sequence");
}

// What is emitted never changes, is valid UTF-8, and ends as Decode of the same tokens, wherever
// they end.
TEST(DecoderTest, StreamsWhatItDecodesAtEveryCut) {
  const Texts pool = {"▁",      "▁a",     "a",  " ",      "</w>",   "b</w>",  "æ",
                      "Ĺ",      "¥",      "ð",  "ŁĳĭĠ",   "<0xE6>", "<0x97>", "<0xA5>",
                      "<0x41>", "<0xF0>", "日", "\uFFFD", "aa",     "  "};
  const Texts decoders = {
      kByteLevel,
      kLlama2,
      "null",
      R"({"type":"ByteFallback"})",
      R"({"type":"BPEDecoder","suffix":"</w>"})",
      R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})",
      R"({"type":"Sequence","decoders":[{"type":"ByteLevel"},{"type":"Strip","content":"a","start":1,"stop":2}]})",
      R"({"type":"Sequence","decoders":[{"type":"ByteLevel"},{"type":"Replace","pattern":{"String":"aa"},"content":"b"}]})",
      R"({"type":"Sequence","decoders":[{"type":"BPEDecoder","suffix":"</w>"},{"type":"ByteFallback"},{"type":"Fuse"}]})"};
  std::mt19937 random(3);
  for (const std::string& json : decoders) {
    const TestDecoder decoder(json);
    for (int round = 0; round < 100; ++round) {
      Texts tokens(1 + random() % 12);
      for (std::string& token : tokens) token = pool[random() % pool.size()];
      const Texts states = decoder.Stream(tokens);
      for (size_t cut = 0; cut < tokens.size(); ++cut) {
        EXPECT_FALSE(FindInvalidUtf8(states[cut]));
        const std::string whole =
            decoder.Decode({tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(cut) + 1});
        EXPECT_TRUE(whole.starts_with(states[cut]))
            << json << ": " << states[cut] << " / " << whole;
        EXPECT_TRUE(states.back().starts_with(states[cut])) << json;
      }
      EXPECT_EQ(states.back(), decoder.Decode(tokens));
    }
  }
}

}  // namespace
}  // namespace autodist::text
