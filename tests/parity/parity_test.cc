// N ranks compute what one rank computes, through the public ModelRunner, on the tiny checkpoints
// of tests/golden: which runs give the same bits, and how far tensor parallelism may be from one
// rank. Every instruction set of this CPU, in f32 and bf16.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "autodist/device/testing/forced_isa.h"
#include "autodist/infer/model_runner.h"
#include "autodist/measure/verification.h"

namespace autodist {
namespace {

using Ids = std::vector<int32_t>;

const std::filesystem::path kData =
    std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data";

// Ids below the smallest vocabulary of the checkpoints; a pattern without a period.
Ids PromptOf(int64_t length, int32_t seed) {
  Ids ids;
  uint32_t state = 77 + static_cast<uint32_t>(seed);
  for (int64_t i = 0; i < length; ++i) {
    state = state * 1664525u + 1013904223u;
    ids.push_back(static_cast<int32_t>(3 + (state >> 16) % 90));
  }
  return ids;
}

// Sanitizers make a run ten times as long: with them, the smallest and the best.
std::vector<device::Isa> TestedIsas() {
  const std::vector<device::Isa> all = device::SupportedIsas();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  if (all.size() > 2) return {all.front(), all.back()};
#endif
  return all;
}

std::vector<float> LogitsOf(ModelRunner& runner, const Ids& ids) {
  std::vector<float> logits;
  runner.Logits(ids, [&](int64_t, core::ConstTensorView rows) {
    for (int64_t r = 0; r < rows.rows(); ++r)
      logits.insert(logits.end(), rows.row<float>(r), rows.row<float>(r) + rows.cols());
  });
  return logits;
}

std::vector<Ids> TokensOf(ModelRunner& runner, std::vector<Ids> prompts, double temperature = 0) {
  GenerateRequest request;
  request.prompts = std::move(prompts);
  request.sampling.temperature = temperature;
  request.max_output_length = 8;
  request.ignore_eos = true;
  std::vector<Ids> tokens;
  for (GeneratedSequence& sequence : runner.Generate(request).sequences)
    tokens.push_back(std::move(sequence.token_ids));
  return tokens;
}

// max|a - b| / max|b|, infinite for anything that is not a number.
double RelativeError(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double error = 0;
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    error = std::max(error, std::abs(double{a[i]} - double{b[i]}));
    largest = std::max(largest, std::abs(double{b[i]}));
  }
  return error / largest;
}

// A checkpoint and a dtype to compute in.
class ParityTest : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  ModelRunnerOptions Options(int tp, int pp) const {
    return {.model_name_or_path = (kData / std::get<0>(GetParam())).string(),
            .dtype = std::get<1>(GetParam()),
            .tensor_parallel_size = tp,
            .pipeline_parallel_size = pp,
            .threads = 1,
            .use_cache = false};
  }
  ModelRunnerOptions BatchOptions(int tp, int pp, int64_t batch, int64_t micro_batch) const {
    ModelRunnerOptions options = Options(tp, pp);
    options.batch_size = batch;
    options.micro_batch_size = micro_batch;
    return options;
  }
  template <typename Body>
  static void OnEveryIsa(const Body& body) {
    for (const device::Isa isa : TestedIsas()) {
      SCOPED_TRACE(device::NameOf(isa));
      const device::testing::ForcedIsa forced(isa);
      body();
    }
  }

  // Prompts of one token, of a few, of more than an attention window; together three slots of a
  // batch.
  const std::vector<Ids> prompts_ = {PromptOf(13, 1), PromptOf(1, 2), PromptOf(29, 3)};
};

// Stages hand over the residual as it is, and neither chunks nor micro-batches depend on their
// number.
TEST_P(ParityTest, PipelinesGiveTheBitsOfOneStage) {
  OnEveryIsa([&] {
    for (const auto& [tp, micro_batch] : {std::pair(1, 2), std::pair(2, 1)}) {
      ModelRunner one(BatchOptions(tp, 1, 3, micro_batch));
      const std::vector<Ids> tokens = TokensOf(one, prompts_);
      const std::vector<Ids> sampled = TokensOf(one, prompts_, 1.5);
      for (const int pp : {2, 4}) {
        SCOPED_TRACE("tp " + std::to_string(tp) + " pp " + std::to_string(pp));
        ModelRunner runner(BatchOptions(tp, pp, 3, micro_batch));
        for (const Ids& prompt : prompts_)
          EXPECT_EQ(LogitsOf(runner, prompt), LogitsOf(one, prompt));
        EXPECT_EQ(TokensOf(runner, prompts_), tokens);
        EXPECT_EQ(TokensOf(runner, prompts_, 1.5), sampled);
      }
    }
  });
}

TEST_P(ParityTest, WhereTheStagesAreCutDoesNotMatter) {
  ModelRunner one(Options(1, 1));
  const int64_t layers = one.config().num_layers;
  ModelRunnerOptions options = Options(1, 2);
  for (int64_t first = 1; first < layers; ++first) {
    options.stage_layers = {first, layers - first};
    ModelRunner runner(options);
    EXPECT_EQ(LogitsOf(runner, prompts_[2]), LogitsOf(one, prompts_[2])) << "after layer " << first;
  }
}

TEST_P(ParityTest, RepeatedRunsGiveTheSameBits) {
  OnEveryIsa([&] {
    const ModelRunnerOptions options = BatchOptions(3, 2, 3, 2);
    ModelRunner first(options);
    const std::vector<float> logits = LogitsOf(first, prompts_[2]);
    const std::vector<Ids> tokens = TokensOf(first, prompts_, 1.5);
    for (int repeat = 0; repeat < 2; ++repeat) {
      EXPECT_EQ(LogitsOf(first, prompts_[2]), logits);
      EXPECT_EQ(TokensOf(first, prompts_, 1.5), tokens);
    }
    ModelRunner second(options);
    EXPECT_EQ(LogitsOf(second, prompts_[2]), logits);
    EXPECT_EQ(TokensOf(second, prompts_, 1.5), tokens);
  });
}

// Threads of a rank share out rows, heads and outputs, never a sum.
TEST_P(ParityTest, TheThreadsOfARankDoNotMatter) {
  OnEveryIsa([&] {
    ModelRunnerOptions options = Options(2, 1);
    ModelRunner one(options);
    options.threads = 3;
    ModelRunner three(options);
    for (const Ids& prompt : prompts_) EXPECT_EQ(LogitsOf(three, prompt), LogitsOf(one, prompt));
    EXPECT_EQ(TokensOf(three, prompts_), TokensOf(one, prompts_));
  });
}

// What else is in the batch, or in flight, does not matter to a sequence. (A draw depends on the
// prompt's index, so only greedy tokens can be compared.)
TEST_P(ParityTest, EachSequenceIsWhatItIsAlone) {
  OnEveryIsa([&] {
    ModelRunner alone(Options(1, 1));
    std::vector<Ids> tokens;
    for (const Ids& prompt : prompts_) tokens.push_back(TokensOf(alone, {prompt})[0]);
    for (const auto& [batch, micro_batch] : {std::pair(3, 3), std::pair(3, 1), std::pair(2, 1)}) {
      for (const int pp : {1, 2}) {
        SCOPED_TRACE("batch " + std::to_string(batch) + " pp " + std::to_string(pp));
        ModelRunner together(BatchOptions(1, pp, batch, micro_batch));
        EXPECT_EQ(TokensOf(together, prompts_), tokens);
      }
    }
  });
}

class Float32ParityTest : public ParityTest {};

// Tensor parallelism only changes the order of the sums of row-parallel layers. (What
// bf16 rounds away is bounded by tests/golden.)
TEST_P(Float32ParityTest, TensorParallelIsCloseToOneRank) {
  OnEveryIsa([&] {
    ModelRunner one(Options(1, 1));
    const std::vector<Ids> tokens = TokensOf(one, prompts_);
    for (const int tp : {2, 3, 4}) {
      SCOPED_TRACE("tp " + std::to_string(tp));
      ModelRunner runner(Options(tp, 1));
      for (const Ids& prompt : prompts_)
        EXPECT_LE(RelativeError(LogitsOf(runner, prompt), LogitsOf(one, prompt)), 1e-5);
      EXPECT_EQ(TokensOf(runner, prompts_), tokens);
    }
  });
}

// Quantised weights: every mesh holds the codes of one rank, also where heads of 8 or 12 are cut
// inside a group of 32 inputs. As long as few rows are multiplied, or always the same way, the
// batch does not matter. In bf16, where a last bit of a sum may change what is rounded to after it,
// a mesh is held to what `verify` allows.
TEST_P(ParityTest, QuantisedMeshesAreCloseToOneRank) {
  const bool f32 = std::get<1>(GetParam()) == "float32";
  OnEveryIsa([&] {
    for (const char* weights : {"int8", "int4"}) {
      SCOPED_TRACE(weights);
      ModelRunnerOptions options = Options(1, 1);
      options.weights = weights;
      ModelRunner one(options);
      const measure::VerifiedRun logits{{}, LogitsOf(one, prompts_[2])};
      options.dtype = "float32";
      ModelRunner exact_one(options);
      const measure::VerifiedRun exact{{}, LogitsOf(exact_one, prompts_[2])};
      options.dtype = std::get<1>(GetParam());
      options.pipeline_parallel_size = 2;
      ModelRunner stages(options);
      EXPECT_EQ(LogitsOf(stages, prompts_[2]), logits.logits);
      options.pipeline_parallel_size = 1;
      for (const int tp : {2, 3, 4}) {
        SCOPED_TRACE("tp " + std::to_string(tp));
        options.tensor_parallel_size = tp;
        ModelRunner parts(options);
        const measure::VerificationReport report =
            measure::Judge(parts.plan(), prompts_[2], {{}, LogitsOf(parts, prompts_[2])}, logits,
                           f32 ? nullptr : &exact);
        EXPECT_TRUE(report.within_bounds()) << ToText(report);
      }
    }
  });
}

TEST_P(ParityTest, DeterministicQuantisedRunsDoNotDependOnTheBatch) {
  OnEveryIsa([&] {
    ModelRunnerOptions options = BatchOptions(1, 1, 3, 3);
    options.weights = "int4";
    options.deterministic = true;
    ModelRunner together(options);
    ModelRunner alone([&] {
      options.batch_size = options.micro_batch_size = 1;
      return options;
    }());
    std::vector<Ids> tokens;
    for (const Ids& prompt : prompts_) tokens.push_back(TokensOf(alone, {prompt})[0]);
    EXPECT_EQ(TokensOf(together, prompts_), tokens);
  });
}

std::string NameOf(const ::testing::TestParamInfo<std::tuple<std::string, std::string>>& test) {
  return std::get<0>(test.param) + "_" + std::get<1>(test.param);
}

const auto kModels =
    ::testing::Values("llama_plain", "gpt2", "opt_post_norm", "mistral_window", "qwen3");
INSTANTIATE_TEST_SUITE_P(Models, ParityTest,
                         ::testing::Combine(kModels, ::testing::Values("float32", "bfloat16")),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Models, Float32ParityTest,
                         ::testing::Combine(kModels, ::testing::Values("float32")), NameOf);

// A prompt longer than plan().prefill_chunk is read in several calls, which follow one another
// through the pipeline.
TEST(LongPromptTest, ChunksPassThroughStagesAndRanksAlike) {
  ModelRunnerOptions options{
      .model_name_or_path = (kData / "llama_rope_yarn").string(), .threads = 1, .use_cache = false};
  ModelRunner one(options);
  const Ids prompt = PromptOf(one.plan().prefill_chunk + 37, 4);
  const std::vector<float> logits = LogitsOf(one, prompt);
  const std::vector<Ids> tokens = TokensOf(one, {prompt, PromptOf(5, 5)});
  options.pipeline_parallel_size = 3;
  ModelRunner stages(options);
  EXPECT_EQ(LogitsOf(stages, prompt), logits);
  EXPECT_EQ(TokensOf(stages, {prompt, PromptOf(5, 5)}), tokens);
  options.pipeline_parallel_size = 1;
  options.tensor_parallel_size = 3;
  ModelRunner parts(options);
  EXPECT_LE(RelativeError(LogitsOf(parts, prompt), logits), 1e-5);
}

}  // namespace
}  // namespace autodist
