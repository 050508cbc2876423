// Real tokenizers against what HuggingFace tokenizers makes of the same strings.
//
// The tokenizer.json files lie in AUTODIST_SHARED (or ../shared beside the sources) under
// data/tokenizers; tests skip where that folder is absent. The library's ids and texts are
// tests/golden/data/tokenizers, recorded by tools/make_tokenizer_golden.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "autodist/core/json.h"
#include "autodist/text/stream_decoder.h"
#include "autodist/text/tokenizer.h"

namespace autodist::text {
namespace {

namespace fs = std::filesystem;

fs::path SharedTokenizers() {
  const char* shared = std::getenv("AUTODIST_SHARED");
  return (shared != nullptr ? fs::path(shared) : fs::path(AUTODIST_SOURCE_DIR) / ".." / "shared") /
         "data" / "tokenizers";
}

class ReferenceTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const fs::path dir = SharedTokenizers() / GetParam();
    if (!fs::exists(dir / "tokenizer.json")) GTEST_SKIP() << dir << " is absent";
    tokenizer_ = Tokenizer::Load(dir);
    const fs::path goldens =
        fs::path(AUTODIST_SOURCE_DIR) / "tests" / "golden" / "data" / "tokenizers";
    strings_ = core::ParseJsonFile(goldens / "strings.json").get<std::vector<std::string>>();
    golden_ = core::ParseJsonFile(goldens / (std::string(GetParam()) + ".json"));
    ids_ = golden_["ids"].get<std::vector<std::vector<int32_t>>>();
    ASSERT_EQ(strings_.size(), ids_.size());
    ASSERT_GE(strings_.size(), 300u);
  }

  // The library's decode of the ids of string `i`, special tokens kept.
  std::string Decoded(size_t i) const {
    const auto found = golden_["decoded"].find(std::to_string(i));
    return found == golden_["decoded"].end() ? strings_[i] : found->get<std::string>();
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
  std::vector<std::string> strings_;
  core::Json golden_;
  std::vector<std::vector<int32_t>> ids_;
};

TEST_P(ReferenceTest, Ids) {
  for (size_t i = 0; i < strings_.size(); ++i) {
    EXPECT_EQ(tokenizer_->Encode(strings_[i], false), ids_[i]) << core::Json(strings_[i]);
    EXPECT_EQ(tokenizer_->EncodeWithTokens(strings_[i], false).ids, ids_[i]);
  }
}

TEST_P(ReferenceTest, Texts) {
  for (size_t i = 0; i < strings_.size(); ++i)
    EXPECT_EQ(tokenizer_->Decode(ids_[i], false), Decoded(i));
}

TEST_P(ReferenceTest, StreamedTexts) {
  for (size_t i = 0; i < strings_.size(); ++i) {
    StreamDecoder decoder(*tokenizer_, /*skip_special_tokens=*/false);
    std::string text;
    for (const int32_t id : ids_[i]) text += decoder.Push(id);
    EXPECT_EQ(text + decoder.Flush(), Decoded(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ReferenceTest,
                         ::testing::Values("gpt2", "gpt-neox-20b", "phi-2", "smollm2-135m",
                                           "falcon-7b", "qwen2", "olmo2-dolma2", "whisper-tiny",
                                           "roberta-base", "clip-vit-base", "mistral-7b-v0.1",
                                           "mistral-7b-v0.1-legacy", "phi-3-mini"));

}  // namespace
}  // namespace autodist::text
