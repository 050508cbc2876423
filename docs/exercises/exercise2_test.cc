#include <gtest/gtest.h>

#include "docs/exercises/pipeline_layer.h"
#include "docs/exercises/testing.h"

namespace autodist::exercises {
namespace {

// A layer that multiplies and adds: the order of layers shows in the result, and small integers
// stay exact.
Layer Affine(float factor, float summand) {
  return [=](const Matrix& hidden) {
    Matrix result = hidden;
    for (int64_t row = 0; row < result.rows(); ++row) {
      for (int64_t col = 0; col < result.cols(); ++col) {
        result.at(row, col) = result.at(row, col) * factor + summand;
      }
    }
    return result;
  };
}

const Matrix kHidden(2, 3, {1, 2, 3, 4, 5, 6});

TEST(PipelineLayerTest, OneStageTalksToNobody) {
  RunRanks(1, [](comm::Communicator& comm) {
    PipelineLayer layer(Affine(2, 1), 0, true, true, {.stage = 0, .stages = 1, .tp = 1}, comm);
    EXPECT_EQ(layer.Forward(kHidden), Affine(2, 1)(kHidden));
  });
}

TEST(PipelineLayerTest, EachStageContinuesWhereTheOneBeforeEnded) {
  const Matrix expected = Affine(5, 3)(Affine(3, 2)(Affine(2, 1)(kHidden)));
  RunRanks(3, [&](comm::Communicator& comm) {
    const int stage = comm.rank();
    const Layer layers[] = {Affine(2, 1), Affine(3, 2), Affine(5, 3)};
    PipelineLayer layer(layers[stage], 0, true, true, {stage, 3, 1}, comm);
    const Matrix output = layer.Forward(stage == 0 ? kHidden : Matrix(2, 3));
    if (stage == 2) {
      EXPECT_EQ(output, expected);
    }
  });
}

// Inside a stage nothing travels: only its first and its last layer communicate.
TEST(PipelineLayerTest, LayersInsideAStageAreJustCalled) {
  const Matrix expected = Affine(7, 4)(Affine(5, 3)(Affine(3, 2)(Affine(2, 1)(kHidden))));
  RunRanks(2, [&](comm::Communicator& comm) {
    const PipelinePlace place{comm.rank(), 2, 1};
    const bool front = place.stage == 0;
    PipelineLayer first(front ? Affine(2, 1) : Affine(5, 3), 0, true, false, place, comm);
    PipelineLayer second(front ? Affine(3, 2) : Affine(7, 4), 1, false, true, place, comm);
    const Matrix output = second.Forward(first.Forward(front ? kHidden : Matrix(2, 3)));
    if (!front) {
      EXPECT_EQ(output, expected);
    }
  });
}

// Two ranks per stage: stage 1 is ranks 2 and 3, and each of them continues the work of its own
// column of ranks.
TEST(PipelineLayerTest, AStageOfSeveralRanksTalksToTheRanksOfTheSameIndex) {
  RunRanks(4, [](comm::Communicator& comm) {
    const PipelinePlace place{comm.rank() / 2, 2, 2};
    const float tp_index = static_cast<float>(comm.rank() % 2);
    const Layer layer = Affine(2, tp_index);
    PipelineLayer pipeline_layer(layer, 0, true, true, place, comm);
    const Matrix output = pipeline_layer.Forward(place.stage == 0 ? kHidden : Matrix(2, 3));
    if (place.stage == 1) {
      EXPECT_EQ(output, layer(layer(kHidden))) << "tp_index " << tp_index;
    }
  });
}

}  // namespace
}  // namespace autodist::exercises
