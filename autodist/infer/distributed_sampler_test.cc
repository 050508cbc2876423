#include "autodist/infer/distributed_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "autodist/comm/thread_communicator.h"
#include "autodist/core/error.h"
#include "autodist/core/random.h"
#include "autodist/device/topology.h"
#include "autodist/infer/testing/reference_sampler.h"

namespace autodist::infer {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Cuts [0, vocab_size) into one range per rank; some are empty.
using Cut = std::vector<spec::Range>;
Cut CutAt(int64_t vocab_size, std::vector<int64_t> inner) {
  Cut cut;
  int64_t first = 0;
  inner.push_back(vocab_size);
  for (int64_t last : inner) {
    cut.push_back({first, last});
    first = last;
  }
  return cut;
}

// Samples on one thread per range of the cut and returns each rank's tokens. Shards have two
// columns of padding, filled with the largest float, which must not be seen.
std::vector<std::vector<int32_t>> SampleOnRanks(const Cut& cut,
                                                const std::vector<std::vector<float>>& logits,
                                                const std::vector<SampleRow>& rows,
                                                int threads = 1) {
  constexpr int64_t kPadding = 2;
  const int ranks = static_cast<int>(cut.size());
  auto group = comm::CreateThreadGroup(ranks);
  std::vector<std::vector<int32_t>> tokens(cut.size());
  std::vector<std::exception_ptr> errors(cut.size());
  std::vector<std::thread> workers;
  for (size_t r = 0; r < cut.size(); ++r) {
    workers.emplace_back([&, r] {
      try {
        device::ThreadPool pool(threads);
        device::Stream stream(pool, device::DetectIsa());
        const int64_t cols = cut[r].size() + kPadding;
        std::vector<float> shard(logits.size() * static_cast<size_t>(cols),
                                 std::numeric_limits<float>::max());
        for (size_t b = 0; b < logits.size(); ++b) {
          std::copy(logits[b].begin() + cut[r].first, logits[b].begin() + cut[r].last,
                    shard.begin() + static_cast<int64_t>(b) * cols);
        }
        DistributedSampler sampler(*group[r], cut[r], static_cast<int64_t>(logits[0].size()));
        tokens[r] = sampler.Sample(
            stream, core::TensorView(shard.data(), static_cast<int64_t>(logits.size()), cols),
            rows);
      } catch (const core::Error& error) {
        errors[r] = std::current_exception();
        group[r]->Abort(error);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
  return tokens;
}

// The token of one row, sampled on two ranks.
int32_t SampleOne(const std::vector<float>& logits, const SampleRow& row) {
  const auto tokens =
      SampleOnRanks(CutAt(static_cast<int64_t>(logits.size()), {1}), {logits}, {row});
  EXPECT_EQ(tokens[0], tokens[1]);
  return tokens[0][0];
}

TEST(DistributedSamplerTest, GreedyTakesTheLargestLogitAndOfEqualOnesTheSmallestId) {
  const SamplingOptions greedy;
  EXPECT_EQ(SampleOne({1, 5, 9, 3}, SampleRow{&greedy}), 2);
  EXPECT_EQ(SampleOne({9, 5, 9, 9}, SampleRow{&greedy}), 0);  // ties across and within ranks
  EXPECT_EQ(SampleOne({1, 5, 9, 9}, SampleRow{&greedy}), 2);
}

TEST(DistributedSamplerTest, ExcludedIdsAndThePenaltyChangeTheToken) {
  SamplingOptions options;
  const std::vector<int32_t> ids = {2};
  SampleRow row{&options};
  row.excluded = ids;
  EXPECT_EQ(SampleOne({1, 5, 9, 3}, row), 1);
  row.excluded = {};
  row.history = ids;
  EXPECT_EQ(SampleOne({1, 5, 9, 3}, row), 2);
  options.repetition_penalty = 2.0;
  EXPECT_EQ(SampleOne({1, 5, 9, 3}, row), 1);
  EXPECT_EQ(SampleOne({-1, -5, -0.75f, -3}, row), 0);
}

TEST(DistributedSamplerTest, EachFilterThatLeavesOneTokenIsGreedy) {
  const std::vector<float> logits = {1, 5, 9, 3, 9};
  std::vector<SamplingOptions> all(3);
  all[0].top_k = 1;
  all[1].top_p = 1e-9;
  all[2].min_p = 1.0;  // keeps both nines
  for (SamplingOptions& options : all) options.temperature = 50.0;
  std::set<int32_t> with_min_p;
  for (uint32_t position = 0; position < 30; ++position) {
    std::vector<SampleRow> rows;
    for (const SamplingOptions& options : all) rows.push_back({&options, 0, position, {}, {}});
    const auto tokens = SampleOnRanks(CutAt(5, {3}), {logits, logits, logits}, rows);
    EXPECT_EQ(tokens[0][0], 2);
    EXPECT_EQ(tokens[0][1], 2);
    with_min_p.insert(tokens[0][2]);
  }
  EXPECT_EQ(with_min_p, (std::set<int32_t>{2, 4}));
}

TEST(DistributedSamplerTest, TheSeedDecidesAndNothingElse) {
  SamplingOptions options;
  options.temperature = 1.0;
  const std::vector<std::vector<float>> logits(64, std::vector<float>(50, 0.0f));
  const auto sample = [&](uint64_t seed) {
    options.seed = seed;
    std::vector<SampleRow> rows;
    for (uint64_t i = 0; i < logits.size(); ++i) rows.push_back({&options, i, 3, {}, {}});
    return SampleOnRanks(CutAt(50, {20}), logits, rows)[0];
  };
  const std::vector<int32_t> tokens = sample(1);
  EXPECT_EQ(sample(1), tokens);
  EXPECT_NE(sample(2), tokens);
  EXPECT_GT(std::set<int32_t>(tokens.begin(), tokens.end()).size(),
            20u);  // rows draw independently
}

// A row of logits of one of several characters.
std::vector<float> RandomLogits(uint64_t row, size_t vocab_size) {
  std::vector<float> logits(vocab_size);
  for (size_t i = 0; i < vocab_size; ++i) {
    const double uniform = core::UniformDouble(77, row, i);
    switch (row % 4) {
      case 0:  // like a model's
        logits[i] = static_cast<float>(4.0 * std::log(uniform / (1.0 - uniform) + 1e-9));
        break;
      case 1:  // nearly flat: a nucleus far beyond the first 64 candidates
        logits[i] = static_cast<float>(uniform);
        break;
      case 2:  // many ties
        logits[i] = static_cast<float>(std::floor(uniform * 12.0) * 0.37 - 2.0);
        break;
      default:  // a steep one, all negative, partly excluded
        logits[i] = uniform < 0.3 ? kMinusInfinity : static_cast<float>(-300.0 * uniform);
    }
  }
  return logits;
}

// Every combination of filters at a few temperatures, or greedy.
SamplingOptions RandomOptions(uint64_t row) {
  const auto pick = [&](uint64_t index, std::vector<double> values) {
    return values[core::RandomBits(78, row, index) % values.size()];
  };
  SamplingOptions options;
  options.temperature = pick(0, {0.0, 0.3, 1.0, 1.0, 2.5});
  options.top_k = static_cast<int64_t>(pick(1, {0, -1, 0, 1, 7, 64, 65, 5000}));
  options.top_p = pick(2, {1.0, 1.0, 0.1, 0.9, 0.999});
  options.min_p = pick(3, {0.0, 0.0, 0.05, 0.5});
  options.repetition_penalty = pick(4, {1.0, 1.3, 0.8});
  options.seed = row / 7;
  return options;
}

// The property the sampler exists for: any cut of the vocabulary gives the tokens of the plain
// definition.
class AnyCutTest : public ::testing::TestWithParam<std::vector<int64_t>> {};

TEST_P(AnyCutTest, TokensAreThoseOfTheWholeRow) {
  constexpr size_t kVocab = 1009;
  constexpr uint64_t kBatches = 8;
  constexpr uint64_t kBatch = 100;
  const Cut cut = CutAt(kVocab, GetParam());
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    std::vector<std::vector<float>> logits;
    std::vector<SamplingOptions> options;
    std::vector<std::vector<int32_t>> history;
    const std::vector<int32_t> excluded = {0, 400, 1008};
    for (uint64_t b = 0; b < kBatch; ++b) {
      const uint64_t row = batch * kBatch + b;
      logits.push_back(RandomLogits(row, kVocab));
      options.push_back(RandomOptions(row));
      history.emplace_back();
      for (uint64_t i = 0; i < row % 40; ++i) {
        history.back().push_back(static_cast<int32_t>(core::RandomBits(79, row, i) % kVocab));
      }
    }
    std::vector<SampleRow> rows;
    std::vector<int32_t> expected;
    for (size_t b = 0; b < kBatch; ++b) {
      rows.push_back({&options[b], b, static_cast<uint32_t>(batch), history[b], {}});
      if (b % 3 == 0) rows.back().excluded = excluded;
      expected.push_back(testing::ReferenceToken(logits[b], rows.back()));
    }
    const int threads = batch % 2 == 0 ? 1 : 2;
    EXPECT_THAT(SampleOnRanks(cut, logits, rows, threads), Each(expected)) << "batch " << batch;
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, AnyCutTest,
                         ::testing::Values(std::vector<int64_t>{}, std::vector<int64_t>{505},
                                           std::vector<int64_t>{1}, std::vector<int64_t>{337, 674},
                                           std::vector<int64_t>{0, 1009},
                                           std::vector<int64_t>{253, 506, 759},
                                           std::vector<int64_t>{700, 700, 763}));

TEST(DistributedSamplerTest, ABrokenRowIsAnErrorOnEveryRankThatNamesIt) {
  SamplingOptions options;
  for (const double temperature : {0.0, 1.0}) {
    for (const double top_p : {1.0, 0.5}) {
      for (const float bad : {std::nanf(""), kMinusInfinity, -kMinusInfinity}) {
        options.temperature = temperature;
        options.top_p = top_p;
        const std::vector<std::vector<float>> logits = {{1, 2, 3}, {bad, bad, bad}};
        try {
          SampleOnRanks(CutAt(3, {2}), logits,
                        {{&options, 4, 0, {}, {}}, {&options, 5, 6, {}, {}}});
          ADD_FAILURE() << "must throw: " << temperature << " " << top_p << " " << bad;
        } catch (const core::Error& error) {
          EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
          EXPECT_THAT(error.what(), HasSubstr("prompt 5, output token 6: no token can be chosen"));
        }
      }
    }
  }
}

TEST(DistributedSamplerTest, AnEmptyBatchIsFine) {
  auto group = comm::CreateThreadGroup(1);
  device::ThreadPool pool(1);
  device::Stream stream(pool, device::DetectIsa());
  DistributedSampler sampler(*group[0], {0, 10}, 10);
  EXPECT_TRUE(
      sampler.Sample(stream, core::TensorView(static_cast<float*>(nullptr), 0, 10), {}).empty());
}

}  // namespace
}  // namespace autodist::infer
