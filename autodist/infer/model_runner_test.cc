#include "autodist/infer/model_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "autodist/core/error.h"

namespace autodist {
namespace {

using ::testing::HasSubstr;

ModelRunnerOptions Options() {
  return {.model_name_or_path = AUTODIST_SOURCE_DIR "/tests/golden/data/llama_plain",
          .tensor_parallel_size = 2,
          .threads = 1,
          .use_cache = false};
}

std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(ModelRunnerTest, OptionsOutOfRangeAreRefused) {
  const auto refusal = [](const ModelRunnerOptions& options) {
    return Refusal([&] { ModelRunner{options}; });
  };
  for (const double seconds : {0.0, -1.0, std::nan(""), 1e300}) {
    ModelRunnerOptions options = Options();
    options.collective_timeout_s = seconds;
    EXPECT_THAT(refusal(options), HasSubstr("--collective-timeout is")) << seconds;
  }
  for (const int threads : {-5, 1'000'000'000}) {
    ModelRunnerOptions options = Options();
    options.threads = threads;
    EXPECT_THAT(refusal(options), HasSubstr("--threads is")) << threads;
  }
}

// What is refused before the run starts leaves the runner as it was.
TEST(ModelRunnerTest, ARefusedRequestLeavesTheRunnerUsable) {
  ModelRunner runner(Options());
  const std::vector<int32_t> before = runner.Generate({3, 4, 5}, 4);
  const auto refusal = [&](const GenerateRequest& request) {
    return Refusal([&] { runner.Generate(request); });
  };
  EXPECT_THAT(refusal({}), HasSubstr("no prompt"));
  EXPECT_THAT(refusal({.prompts = {{}}}), HasSubstr("no tokens"));
  EXPECT_THAT(refusal({.prompts = {{-1}}}), HasSubstr("token id -1"));
  EXPECT_THAT(refusal({.prompts = {{1}}, .sampling = {.temperature = -1}}),
              HasSubstr("temperature"));
  EXPECT_THAT(refusal({.prompts = {{1}}, .max_output_length = 0}), HasSubstr("max-output-length"));
  EXPECT_THAT(refusal({.prompts = {{1}}, .stop = {"x"}}), HasSubstr("tokenizer"));
  EXPECT_THAT(Refusal([&] { runner.Logits({1, 2}, nullptr); }), HasSubstr("receiver"));
  EXPECT_EQ(runner.Generate({3, 4, 5}, 4), before);
}

// The KV cache of one request serves the next, whatever it holds, and grows where it must.
TEST(ModelRunnerTest, ARequestLeavesNothingToTheNext) {
  ModelRunnerOptions options = Options();
  options.pipeline_parallel_size = 2;
  options.batch_size = 2;
  std::vector<int32_t> many;
  for (int32_t i = 0; i < 70; ++i) many.push_back(3 + i % 50);  // more than a page
  const std::vector<std::vector<std::vector<int32_t>>> requests = {
      {{3, 4, 5}}, {many, {7, 8}, {3, 4, 5}}, {{3, 4, 5}, {5, 6}}, {many}};
  const auto generate = [](ModelRunner& runner, const auto& prompts) {
    GenerateRequest request{.prompts = prompts, .max_output_length = 5, .ignore_eos = true};
    std::vector<std::vector<int32_t>> ids;
    for (const auto& sequence : runner.Generate(request).sequences)
      ids.push_back(sequence.token_ids);
    return ids;
  };
  const auto logits = [](ModelRunner& runner, const std::vector<int32_t>& ids) {
    std::vector<float> all;
    runner.Logits(ids, [&](int64_t, core::ConstTensorView rows) {
      for (int64_t i = 0; i < rows.rows(); ++i)
        all.insert(all.end(), rows.row<float>(i), rows.row<float>(i) + rows.cols());
    });
    return all;
  };
  ModelRunner runner(options);
  for (const auto& prompts : requests) {
    ModelRunner alone(options);
    EXPECT_EQ(generate(runner, prompts), generate(alone, prompts));
    EXPECT_EQ(logits(runner, prompts[0]), logits(alone, prompts[0]));
  }
}

TEST(ModelRunnerTest, ACancelledRunEndsOnAllRanks) {
  ModelRunner runner(Options());
  GenerateRequest request{.prompts = {{3, 4, 5}}, .ignore_eos = true};
  request.check_cancelled = [] { throw core::RuntimeFailure("enough"); };
  EXPECT_THROW(runner.Generate(request), core::Error);
}

}  // namespace
}  // namespace autodist
