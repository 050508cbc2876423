#include <gtest/gtest.h>

#include "docs/exercises/layer_parallel.h"
#include "docs/exercises/testing.h"

namespace autodist::exercises {
namespace {

constexpr int kHeads = 4;
constexpr int kHeadDim = 3;
constexpr int kWidth = kHeads * kHeadDim;
constexpr int kFeedForward = 20;

struct LinearShape {
  const char* name;
  int outputs;
  int inputs;
  bool splits_outputs;
};
constexpr LinearShape kLinears[] = {
    {"q_proj", kWidth, kWidth, true},          {"k_proj", kWidth, kWidth, true},
    {"v_proj", kWidth, kWidth, true},          {"o_proj", kWidth, kWidth, false},
    {"gate_proj", kFeedForward, kWidth, true}, {"up_proj", kFeedForward, kWidth, true},
    {"down_proj", kWidth, kFeedForward, false}};

std::unique_ptr<LinearLayer>& Member(DecoderLayer& layer, const std::string& name) {
  if (name == "q_proj") return layer.q_proj;
  if (name == "k_proj") return layer.k_proj;
  if (name == "v_proj") return layer.v_proj;
  if (name == "o_proj") return layer.o_proj;
  if (name == "gate_proj") return layer.gate_proj;
  if (name == "up_proj") return layer.up_proj;
  return layer.down_proj;
}

Matrix Weight(int index) {
  return TestMatrix(kLinears[index].outputs, kLinears[index].inputs, 10 + index);
}
Matrix Bias(int index) { return TestMatrix(1, kLinears[index].outputs, 20 + index); }

DecoderLayer WholeLayer() {
  DecoderLayer layer;
  layer.head_dim = kHeadDim;
  for (int i = 0; i < 7; ++i) {
    Member(layer, kLinears[i].name) = std::make_unique<LocalLinear>(Weight(i), Bias(i));
  }
  return layer;
}

SplitWeights Split(int ranks) {
  SplitWeights split;
  split.head_dim = kHeadDim;
  for (int i = 0; i < 7; ++i) {
    const std::string name = kLinears[i].name;
    for (int rank = 0; rank < ranks; ++rank) {
      if (kLinears[i].splits_outputs) {
        split.parts[name + ".weight"].push_back(RowPiece(Weight(i), rank, ranks));
        split.parts[name + ".bias"].push_back(ColumnPiece(Bias(i), rank, ranks));
      } else {
        split.parts[name + ".weight"].push_back(ColumnPiece(Weight(i), rank, ranks));
      }
    }
    if (!kLinears[i].splits_outputs) split.whole[name + ".bias"] = Bias(i);
  }
  return split;
}

class LayerParallelTest : public testing::TestWithParam<int> {};

TEST_P(LayerParallelTest, EveryRankHoldsItsPartOfEachWeight) {
  const SplitWeights weights = Split(GetParam());
  RunRanks(GetParam(), [&](comm::Communicator& comm) {
    DecoderLayer layer = ParallelizeLayer(weights, comm);
    for (const LinearShape& linear : kLinears) {
      const std::string name = linear.name;
      ASSERT_NE(Member(layer, name), nullptr) << name;
      EXPECT_EQ(Member(layer, name)->weight(),
                weights.parts.at(name + ".weight")[static_cast<size_t>(comm.rank())])
          << name;
    }
  });
}

TEST_P(LayerParallelTest, EveryRankComputesWhatTheWholeLayerComputes) {
  const Matrix x = TestMatrix(5, kWidth, 1);
  const Matrix expected = WholeLayer().Forward(x);
  const SplitWeights weights = Split(GetParam());
  RunRanks(GetParam(), [&](comm::Communicator& comm) {
    DecoderLayer layer = ParallelizeLayer(weights, comm);
    for (const LinearShape& linear : kLinears) ASSERT_NE(Member(layer, linear.name), nullptr);
    ExpectNear(layer.Forward(x), expected);
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, LayerParallelTest, testing::Values(1, 2, 4));

}  // namespace
}  // namespace autodist::exercises
