// What transformers says after a prompt, greedily, by real models (tools/make_text_golden.py):
// token ids and text, at every mesh tp x pp with sizes 1 to 4 that fits 12 rank threads.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"
#include "autodist/text/tokenizer.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = AUTODIST_SOURCE_DIR;

// Absent on most machines; its tests then skip.
fs::path Shared() {
  const char* shared = std::getenv("AUTODIST_SHARED");
  return shared != nullptr ? fs::path(shared) : kSource / ".." / "shared";
}

struct Case {
  const char* record;  // tests/golden/data/<record>.json
  fs::path model;
};

const Case kCases[] = {
    {"stories260K", Shared() / "data" / "checkpoints" / "stories260K-hf"},
    {"story-2m", kSource / "models" / "story-2m"},
};

class TextGoldenTest : public ::testing::TestWithParam<Case> {};

TEST_P(TextGoldenTest, ContinuesLikeTransformersAtEveryMesh) {
  if (!fs::exists(GetParam().model)) {
    GTEST_SKIP() << GetParam().model << " is not here";
  }
  const core::Json golden = core::ParseJsonFile(kSource / "tests/golden/data" /
                                                (std::string(GetParam().record) + ".json"));
  const auto tokenizer = text::Tokenizer::Load(GetParam().model);
  const std::vector<int32_t> prompt =
      tokenizer->Encode(golden["prompt"].get<std::string>(), /*add_special_tokens=*/true);
  ASSERT_EQ(prompt, golden["prompt_ids"].get<std::vector<int32_t>>());
  const auto greedy = golden["greedy"].get<std::vector<int32_t>>();
  for (int tp = 1; tp <= 4; ++tp) {
    for (int pp = 1; pp <= 4 && tp * pp <= 12; ++pp) {
      SCOPED_TRACE("tp " + std::to_string(tp) + " pp " + std::to_string(pp));
      ModelRunner runner({.model_name_or_path = GetParam().model.string(),
                          .dtype = "float32",
                          .tensor_parallel_size = tp,
                          .pipeline_parallel_size = pp,
                          .threads = 1,
                          .use_cache = false});
      const std::vector<int32_t> ids = runner.Generate(prompt, static_cast<int64_t>(greedy.size()));
      EXPECT_EQ(ids, greedy);
      EXPECT_EQ(tokenizer->Decode(ids, /*skip_special_tokens=*/true),
                golden["text"].get<std::string>());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(RealModels, TextGoldenTest, ::testing::ValuesIn(kCases),
                         [](const auto& test) {
                           std::string name = test.param.record;
                           std::erase_if(name, [](char c) { return c == '-'; });
                           return name;
                         });

}  // namespace
}  // namespace autodist
