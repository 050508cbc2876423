// Logits and greedy tokens of tiny checkpoints of every family against those of transformers
// (tools/make_golden.py), at every mesh tp x pp with sizes 1 to 4 that fits the model and 12 rank
// threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/device/testing/forced_isa.h"
#include "autodist/infer/model_runner.h"
#include "tests/golden/npy.h"

namespace autodist {
namespace {

using testing::Compare;
using testing::ReadNpy;
using testing::RelativeError;

const std::filesystem::path kData =
    std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data";

struct Prompt {
  std::vector<int32_t> ids;
  std::vector<int32_t> greedy;
};

std::vector<Prompt> ReadPrompts(const std::filesystem::path& directory) {
  const core::Json golden = core::ParseJsonFile(directory / "golden.json");
  std::vector<Prompt> prompts;
  for (const core::Json& prompt : golden["prompts"])
    prompts.push_back(
        {prompt["ids"].get<std::vector<int32_t>>(), prompt["greedy"].get<std::vector<int32_t>>()});
  return prompts;
}

ModelRunnerOptions OptionsFor(const std::filesystem::path& directory, int tp, int pp) {
  return {.model_name_or_path = directory.string(),
          .dtype = "float32",
          .tensor_parallel_size = tp,
          .pipeline_parallel_size = pp,
          .threads = 1,
          .use_cache = false};
}

// Logits at every position of every prompt, prompts one after the other.
std::vector<float> LogitsOf(ModelRunner& runner, const std::vector<Prompt>& prompts) {
  std::vector<float> logits;
  for (const Prompt& prompt : prompts) {
    runner.Logits(prompt.ids, [&](int64_t, core::ConstTensorView rows) {
      for (int64_t r = 0; r < rows.rows(); ++r)
        logits.insert(logits.end(), rows.row<float>(r), rows.row<float>(r) + rows.cols());
    });
  }
  return logits;
}

std::vector<std::string> Cases() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kData))
    if (std::filesystem::exists(entry.path() / "golden.json"))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

using Param = std::tuple<std::string, device::Isa>;

class GoldenTest : public ::testing::TestWithParam<Param> {};

// DESIGN section 5: 1e-4 against transformers' f32 eager, greedy tokens identical.
TEST_P(GoldenTest, MatchesTransformersAtEveryMesh) {
  const auto& [name, isa] = GetParam();
  const device::testing::ForcedIsa forced(isa);
  const std::filesystem::path directory = kData / name;
  const std::vector<Prompt> prompts = ReadPrompts(directory);
  const testing::Matrix golden = ReadNpy(directory / "golden_logits.npy");
  int meshes = 0;
  for (int tp = 1; tp <= 4; ++tp) {
    for (int pp = 1; pp <= 4; ++pp) {
      if (tp * pp > 12) continue;
      SCOPED_TRACE("tp " + std::to_string(tp) + " pp " + std::to_string(pp));
      ModelRunner runner(OptionsFor(directory, tp, pp));
      const RelativeError error = Compare(LogitsOf(runner, prompts), golden.values);
      EXPECT_LE(error.max, 1e-4);
      GenerateRequest request;
      request.ignore_eos = true;
      request.max_output_length = static_cast<int64_t>(prompts[0].greedy.size());
      for (const Prompt& prompt : prompts) request.prompts.push_back(prompt.ids);
      const GenerateResult result = runner.Generate(request);
      for (size_t p = 0; p < prompts.size(); ++p) {
        // transformers goes on past the context (max_position_embeddings, times the factor of
        // dynamic rope); we end.
        std::vector<int32_t> expected = prompts[p].greedy;
        const size_t room =
            static_cast<size_t>(runner.config().context_length) - prompts[p].ids.size();
        expected.resize(std::min(expected.size(), room));
        EXPECT_EQ(result.sequences[p].token_ids, expected);
      }
      ++meshes;
    }
  }
  EXPECT_EQ(meshes, 15);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest,
                         ::testing::Combine(::testing::ValuesIn(Cases()),
                                            ::testing::ValuesIn(device::SupportedIsas())),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" +
                                  std::string(device::NameOf(std::get<1>(test.param)));
                         });

// bf16 against the f32 result of the bf16 weights: rms at most 1.2 times, max at most twice
// transformers' own error.
class GoldenBf16Test : public ::testing::TestWithParam<device::Isa> {};

TEST_P(GoldenBf16Test, ErrorIsThatOfTransformers) {
  const device::testing::ForcedIsa forced(GetParam());
  const std::filesystem::path directory = kData / "llama_bf16";
  const std::vector<Prompt> prompts = ReadPrompts(directory);
  const testing::Matrix f32 = ReadNpy(directory / "golden_logits.npy");
  const RelativeError reference =
      Compare(ReadNpy(directory / "golden_logits_bf16.npy").values, f32.values);
  ASSERT_GT(reference.rms, 0.0);
  for (const auto& [tp, pp] :
       {std::pair(1, 1), std::pair(2, 1), std::pair(3, 2), std::pair(1, 4)}) {
    ModelRunnerOptions options = OptionsFor(directory, tp, pp);
    options.dtype = "auto";
    ModelRunner runner(options);
    ASSERT_EQ(runner.plan().compute_dtype, core::DType::kBF16);
    const RelativeError error = Compare(LogitsOf(runner, prompts), f32.values);
    EXPECT_LE(error.rms, 1.2 * reference.rms) << "tp " << tp << " pp " << pp;
    EXPECT_LE(error.max, 2.0 * reference.max) << "tp " << tp << " pp " << pp;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, GoldenBf16Test, ::testing::ValuesIn(device::SupportedIsas()),
                         [](const auto& test) { return std::string(device::NameOf(test.param)); });

}  // namespace
}  // namespace autodist
