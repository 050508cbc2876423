#include "autodist/text/stream_decoder.h"

#include <random>

#include "autodist/text/tokenizer_testing.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// Bytes, words with and without "▁", a special token, a token that is U+FFFD.
std::unique_ptr<const Tokenizer> SmallTokenizer() {
  TokenizerText text;
  text.model = BpeText(WithByteTokens({"</s>", "▁", "▁hi", "hi", "\uFFFD", "日"}), {},
                       R"(,"byte_fallback":true)");
  text.decoder =
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
      {"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";
  text.added_tokens = R"([{"id":0,"content":"</s>","special":true,"normalized":false}])";
  return MakeTokenizer(text);
}

constexpr int32_t kByte0 = 6;

TEST(StreamDecoderTest, EmitsWhatIsCertain) {
  const auto tokenizer = SmallTokenizer();
  StreamDecoder decoder(*tokenizer, /*skip_special_tokens=*/true);
  EXPECT_EQ(decoder.Push(2), "hi");      // the first space is dropped
  EXPECT_EQ(decoder.Push(2), " hi");     // and only the first
  EXPECT_EQ(decoder.Push(4), "\uFFFD");  // a token of its own, not a broken character
  EXPECT_EQ(decoder.Push(kByte0 + 0xE6), "");
  EXPECT_EQ(decoder.Push(kByte0 + 0x97), "");
  EXPECT_EQ(decoder.Push(kByte0 + 0xA5), "");  // a fourth byte could still spoil the run
  EXPECT_EQ(decoder.Push(3), "日hi");
  EXPECT_EQ(decoder.Push(0), "");      // special
  EXPECT_EQ(decoder.Push(99999), "");  // no such token
  EXPECT_EQ(decoder.Push(kByte0 + 0xE6), "");
  EXPECT_EQ(decoder.Flush(), "\uFFFD");
}

TEST(StreamDecoderTest, EqualsDecodeAtEveryCut) {
  const auto tokenizer = SmallTokenizer();
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<int32_t> ids(random() % 16);
    for (int32_t& id : ids) {
      const int32_t bytes[] = {kByte0 + 0xE6, kByte0 + 0x97, kByte0 + 0xA5, kByte0 + 0x41};
      id = random() % 2 == 0 ? bytes[random() % 4] : static_cast<int32_t>(random() % 8);
    }
    for (const bool skip : {false, true}) {
      for (size_t cut = 0; cut <= ids.size(); ++cut) {
        const std::vector<int32_t> prefix(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(cut));
        StreamDecoder decoder(*tokenizer, skip);
        std::string text;
        for (const int32_t id : prefix) {
          const std::string part = decoder.Push(id);
          EXPECT_FALSE(FindInvalidUtf8(part));
          text += part;
        }
        EXPECT_EQ(text + decoder.Flush(), tokenizer->Decode(prefix, skip));
      }
    }
  }
}

}  // namespace
}  // namespace autodist::text
