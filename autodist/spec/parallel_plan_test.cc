#include "autodist/spec/parallel_plan.h"

#include <gtest/gtest.h>

namespace autodist::spec {
namespace {

// tp 2 x pp 2: ranks 0 and 1 are stage 0, ranks 2 and 3 stage 1.
TEST(MeshTest, TpRanksAreNeighbours) {
  const Mesh mesh{.tp = 2, .pp = 2};
  EXPECT_EQ(mesh.world(), 4);
  EXPECT_EQ(mesh.StageOf(1), 0);
  EXPECT_EQ(mesh.StageOf(2), 1);
  EXPECT_EQ(mesh.TpIndex(3), 1);
}

TEST(MeshTest, RankOfInvertsTheIndices) {
  const Mesh mesh{.tp = 3, .pp = 4, .dp = 2};
  for (int rank = 0; rank < mesh.world(); ++rank)
    EXPECT_EQ(mesh.RankOf(mesh.StageOf(rank), mesh.DpIndex(rank), mesh.TpIndex(rank)), rank);
}

TEST(ParallelPlanTest, JsonNamesEveryRank) {
  ParallelPlan plan;
  plan.mesh = {.tp = 1, .pp = 2};
  plan.ranks.resize(2);
  plan.ranks[1].rank = 1;
  plan.ranks[1].layers = {2, 5};
  plan.ranks[1].bytes.weights = 7;
  const core::Json json = ToJson(plan);
  EXPECT_EQ(json["pipeline_parallel_size"], 2);
  EXPECT_EQ(json["ranks"][1]["layers"], core::Json::array({2, 5}));
  EXPECT_EQ(json["ranks"][1]["bytes"]["total"], 7);
}

TEST(ModelTensorTest, Names) {
  EXPECT_EQ(ToString(TensorId{Slot::kQ, Part::kBias, 3}), "layers.3.q.bias");
  EXPECT_EQ(ToString(TensorId{Slot::kHead}), "head.weight");
}

}  // namespace
}  // namespace autodist::spec
