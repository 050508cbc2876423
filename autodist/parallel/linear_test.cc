#include "autodist/parallel/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "autodist/core/random.h"
#include "autodist/parallel/testing/rank_threads.h"

namespace autodist::parallel {
namespace {

constexpr int64_t kTokens = 3, kInputs = 37, kOutputs = 53;  // nothing divides anything

struct Layer {
  std::vector<float> x = std::vector<float>(kTokens * kInputs);
  std::vector<float> weight = std::vector<float>(kOutputs * kInputs);
  std::vector<float> bias = std::vector<float>(kOutputs);

  Layer() {
    uint64_t stream = 0;
    for (auto* values : {&x, &weight, &bias}) {
      for (size_t i = 0; i < values->size(); ++i)
        (*values)[i] = static_cast<float>(core::UniformDouble(3, stream, i)) * 2 - 1;
      ++stream;
    }
  }
  double Expected(int64_t token, int64_t output) const {
    double sum = bias[static_cast<size_t>(output)];
    for (int64_t k = 0; k < kInputs; ++k)
      sum += double{x[static_cast<size_t>(token * kInputs + k)]} *
             weight[static_cast<size_t>(output * kInputs + k)];
    return sum;
  }
  // Sums of kInputs products of values below 1, in f32.
  static constexpr double kTolerance = kInputs * 6e-8 * 4;
};

// Packs W[rows, cols] for one rank.
struct PackedPart {
  device::Buffer memory;
  LinearWeight weight;

  PackedPart(device::Stream& stream, const Layer& layer, spec::Range rows, spec::Range cols,
             spec::Range bias) {
    const kernels::PackedLayout layout(core::DType::kF32, rows.size(), cols.size());
    memory = device::Buffer(layout.bytes());
    const core::ConstTensorView whole(layer.weight.data(), kOutputs, kInputs);
    kernels::PackRows(stream, whole.Rows(rows.first, rows.size()).Cols(cols.first, cols.size()),
                      layout, 0, 0, memory.data());
    weight = {{layout, memory.data()},
              core::ConstTensorView(layer.bias.data(), 1, kOutputs).Cols(bias.first, bias.size())};
  }
};

spec::Range Share(int64_t size, int ranks, int rank) {
  return {size * rank / ranks, size * (rank + 1) / ranks};
}

class LinearTest : public ::testing::TestWithParam<int> {};

TEST_P(LinearTest, ColumnPartsAreTheColumnsOfTheWhole) {
  const Layer layer;
  testing::RunRanks(GetParam(), [&](comm::Communicator& tp, device::Stream& stream) {
    const spec::Range own = Share(kOutputs, tp.size(), tp.rank());
    const PackedPart part(stream, layer, own, {0, kInputs}, own);
    ColumnParallelLinear linear(part.weight);
    ASSERT_EQ(linear.outputs(), own.size());
    std::vector<float> y(static_cast<size_t>(kTokens * own.size()));
    linear.Forward(stream, core::ConstTensorView(layer.x.data(), kTokens, kInputs),
                   core::TensorView(y.data(), kTokens, own.size()));
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t n = 0; n < own.size(); ++n)
        EXPECT_NEAR(y[static_cast<size_t>(t * own.size() + n)], layer.Expected(t, own.first + n),
                    Layer::kTolerance);
  });
}

// R1: the gather joins the feature dim, in rank order, and parts may differ in size.
TEST_P(LinearTest, GatheredColumnsAreWholeOnEveryRank) {
  const Layer layer;
  testing::RunRanks(GetParam(), [&](comm::Communicator& tp, device::Stream& stream) {
    std::vector<spec::Range> ranges;
    for (int r = 0; r < tp.size(); ++r) ranges.push_back(Share(kOutputs, tp.size(), r));
    const spec::Range own = ranges[static_cast<size_t>(tp.rank())];
    const PackedPart part(stream, layer, own, {0, kInputs}, own);
    ColumnParallelLinear linear(part.weight, tp, ranges);
    ASSERT_EQ(linear.outputs(), kOutputs);
    std::vector<float> y(kTokens * kOutputs);
    linear.Forward(stream, core::ConstTensorView(layer.x.data(), kTokens, kInputs),
                   core::TensorView(y.data(), kTokens, kOutputs));
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t n = 0; n < kOutputs; ++n)
        EXPECT_NEAR(y[static_cast<size_t>(t * kOutputs + n)], layer.Expected(t, n),
                    Layer::kTolerance);
  });
}

// R2: partial sums are added, then the bias once: a bias added before the reduce would count once
// per rank.
TEST_P(LinearTest, RowPartsSumToTheWholeAndTheBiasCountsOnce) {
  const Layer layer;
  testing::RunRanks(GetParam(), [&](comm::Communicator& tp, device::Stream& stream) {
    const spec::Range own = Share(kInputs, tp.size(), tp.rank());
    const PackedPart part(stream, layer, {0, kOutputs}, own, {0, kOutputs});
    RowParallelLinear linear(part.weight, tp);
    std::vector<float> y(kTokens * kOutputs);
    const core::ConstTensorView x(layer.x.data(), kTokens, kInputs);
    linear.Forward(stream, x.Cols(own.first, own.size()),
                   core::TensorView(y.data(), kTokens, kOutputs));
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t n = 0; n < kOutputs; ++n)
        EXPECT_NEAR(y[static_cast<size_t>(t * kOutputs + n)], layer.Expected(t, n),
                    Layer::kTolerance);
  });
}

// A residual connection. Rows that the ranks share among them (many) get the bits of rows that
// every rank adds for itself (few), on every rank.
TEST_P(LinearTest, RowPartsAreAddedToTheResidual) {
  constexpr int64_t kMany = 43;
  const Layer layer;
  std::vector<float> x(kMany * kInputs);
  for (size_t i = 0; i < x.size(); ++i) x[i] = layer.x[i % layer.x.size()];
  testing::RunRanks(GetParam(), [&](comm::Communicator& tp, device::Stream& stream) {
    const spec::Range own = Share(kInputs, tp.size(), tp.rank());
    const PackedPart part(stream, layer, {0, kOutputs}, own, {0, kOutputs});
    RowParallelLinear linear(part.weight, tp);
    const auto columns =
        core::ConstTensorView(x.data(), kMany, kInputs).Cols(own.first, own.size());
    std::vector<float> many(kMany * kOutputs, 0.5f);
    linear.ForwardAdd(stream, columns, core::TensorView(many.data(), kMany, kOutputs));
    std::vector<float> few = std::vector<float>(kMany * kOutputs, 0.5f);
    for (int64_t t = 0; t < kMany; ++t) {
      linear.ForwardAdd(stream, columns.Rows(t, 1),
                        core::TensorView(few.data() + t * kOutputs, 1, kOutputs));
    }
    for (int64_t t = 0; t < kMany; ++t)
      for (int64_t n = 0; n < kOutputs; ++n)
        EXPECT_NEAR(many[static_cast<size_t>(t * kOutputs + n)],
                    0.5 + layer.Expected(t % kTokens, n), Layer::kTolerance);
    EXPECT_EQ(many, few);
    std::vector<float> of_rank0 = many;
    tp.Broadcast(core::TensorView(of_rank0.data(), 1, kMany * kOutputs), 0).Wait();
    EXPECT_EQ(many, of_rank0);
  });
}

// Two residual connections with a function of the first's sum between them: whoever maps a row, z
// is whole after the first and y after the second, with the bits of doing one after the other.
TEST_P(LinearTest, SumsAreMappedWhereTheyAreMade) {
  constexpr int64_t kMany = 43;
  const Layer layer;
  std::vector<float> x(kMany * kInputs);
  for (size_t i = 0; i < x.size(); ++i) x[i] = layer.x[i % layer.x.size()];
  const RowMap negate = [](core::ConstTensorView from, core::TensorView to) {
    for (int64_t t = 0; t < from.rows(); ++t)
      for (int64_t n = 0; n < from.cols(); ++n) to.row<float>(t)[n] = -from.row<float>(t)[n];
  };
  testing::RunRanks(GetParam(), [&](comm::Communicator& tp, device::Stream& stream) {
    const spec::Range own = Share(kInputs, tp.size(), tp.rank());
    const PackedPart part(stream, layer, {0, kOutputs}, own, {0, kOutputs});
    RowParallelLinear linear(part.weight, tp);
    for (const int64_t rows : {int64_t{3}, int64_t{16}, kMany}) {
      const auto columns =
          core::ConstTensorView(x.data(), rows, kInputs).Cols(own.first, own.size());
      const size_t elements = static_cast<size_t>(rows * kOutputs);
      std::vector<float> expected_y(elements, 0.5f), expected_z(elements), y(elements, 0.5f),
          z(elements);
      const core::TensorView plain(expected_y.data(), rows, kOutputs);
      linear.ForwardAdd(stream, columns, plain);
      negate(plain, core::TensorView(expected_z.data(), rows, kOutputs));
      linear.ForwardAdd(stream, columns, plain);

      const core::TensorView sums(y.data(), rows, kOutputs);
      linear.ForwardAddMap(stream, columns, sums, negate,
                           core::TensorView(z.data(), rows, kOutputs));
      EXPECT_EQ(z, expected_z);
      linear.ForwardAdd(stream, columns, sums);
      EXPECT_EQ(y, expected_y);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, LinearTest, ::testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace autodist::parallel
