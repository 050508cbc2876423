#include <gtest/gtest.h>

#include "docs/exercises/stage.h"
#include "docs/exercises/testing.h"

namespace autodist::exercises {
namespace {

TEST(CutIntoStagesTest, GivesTheRemainderToTheFirstStages) {
  EXPECT_EQ(CutIntoStages(6, 3), (std::vector<StageRange>{{0, 2}, {2, 4}, {4, 6}}));
  EXPECT_EQ(CutIntoStages(32, 3), (std::vector<StageRange>{{0, 11}, {11, 22}, {22, 32}}));
  EXPECT_EQ(CutIntoStages(5, 1), (std::vector<StageRange>{{0, 5}}));
  EXPECT_EQ(CutIntoStages(3, 3), (std::vector<StageRange>{{0, 1}, {1, 2}, {2, 3}}));
}

TEST(CutIntoStagesTest, DropsNoLayer) {
  for (int layers = 1; layers <= 40; ++layers) {
    for (int stages = 1; stages <= layers; ++stages) {
      int next = 0;
      for (const StageRange& range : CutIntoStages(layers, stages)) {
        EXPECT_EQ(range.layers_start, next);
        EXPECT_GT(range.layers_end, range.layers_start);
        next = range.layers_end;
      }
      EXPECT_EQ(next, layers) << layers << " layers on " << stages << " stages";
    }
  }
}

// Layer i of the model: its result tells which layers ran before it, and in which order.
std::vector<Layer> Model(int layers) {
  std::vector<Layer> model;
  for (int i = 0; i < layers; ++i) {
    model.push_back([i](const Matrix& hidden) {
      Matrix result = hidden;
      for (int64_t col = 0; col < result.cols(); ++col) {
        result.at(0, col) = result.at(0, col) * 2 + static_cast<float>(i % 3);
      }
      return result;
    });
  }
  return model;
}

const Matrix kHidden(1, 2, {1, -1});

TEST(BuildStageTest, CountsLayersFromTheStartOfTheStage) {
  RunRanks(1, [](comm::Communicator& comm) {
    const auto stage = BuildStage(Model(7), {3, 6}, {.stage = 1, .stages = 2, .tp = 1}, comm);
    ASSERT_EQ(stage.size(), 3u);
    for (int i = 0; i < 3; ++i) {
      const PipelineLayer& layer = stage[static_cast<size_t>(i)];
      EXPECT_EQ(layer.layer_index(), i);
      EXPECT_EQ(layer.is_first(), i == 0);
      EXPECT_EQ(layer.is_last(), i == 2);
    }
  });
}

TEST(BuildStageTest, AStageOfOneLayerOpensAndClosesIt) {
  RunRanks(1, [](comm::Communicator& comm) {
    const auto stage = BuildStage(Model(3), {2, 3}, {.stage = 2, .stages = 3, .tp = 1}, comm);
    ASSERT_EQ(stage.size(), 1u);
    EXPECT_TRUE(stage[0].is_first());
    EXPECT_TRUE(stage[0].is_last());
  });
}

// 7 layers on 3 stages: the pipeline computes what the model computes, all 7 layers of it.
TEST(BuildStageTest, TheStagesTogetherAreTheModel) {
  Matrix expected = kHidden;
  for (const Layer& layer : Model(7)) expected = layer(expected);

  RunRanks(3, [&](comm::Communicator& comm) {
    const PipelinePlace place{comm.rank(), 3, 1};
    const StageRange range = CutIntoStages(7, 3)[static_cast<size_t>(place.stage)];
    Matrix hidden = place.stage == 0 ? kHidden : Matrix(1, 2);
    for (PipelineLayer& layer : BuildStage(Model(7), range, place, comm)) {
      hidden = layer.Forward(hidden);
    }
    if (place.stage == 2) {
      EXPECT_EQ(hidden, expected);
    }
  });
}

}  // namespace
}  // namespace autodist::exercises
