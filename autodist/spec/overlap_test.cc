#include "autodist/spec/overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

OverlapModel Small() {
  return {.name = "small",
          .num_layers = 2,
          .hidden_size = 64,
          .num_heads = 6,
          .num_kv_heads = 2,
          .q_size = 96,
          .kv_size = 32,
          .ffn_size = 100};
}

// [inputs, outputs] as the requirement writes them: qkv [hidden, q + 2 kv], fc1 [hidden, 2 ffn].
TEST(OverlapModelTest, ShapesOfTheFourOperators) {
  EXPECT_EQ(ShapeOf(Small(), LinearOp::kQkv), (LinearShape{64, 96 + 2 * 32}));
  EXPECT_EQ(ShapeOf(Small(), LinearOp::kProj), (LinearShape{96, 64}));
  EXPECT_EQ(ShapeOf(Small(), LinearOp::kFc1), (LinearShape{64, 200}));
  EXPECT_EQ(ShapeOf(Small(), LinearOp::kFc2), (LinearShape{100, 64}));
  OverlapModel plain = Small();
  plain.gated_mlp = false;
  EXPECT_EQ(ShapeOf(plain, LinearOp::kFc1), (LinearShape{64, 100}));
}

TEST(OverlapModelTest, ExpertsAndLatentAttentionHaveFewerOperators) {
  OverlapModel experts = Small();
  experts.ffn_size = 0;
  EXPECT_THAT(experts.Operators(), ElementsAre(LinearOp::kQkv, LinearOp::kProj));
  OverlapModel latent = Small();
  latent.kv_size = 0;
  EXPECT_THAT(latent.Operators(), ElementsAre(LinearOp::kProj, LinearOp::kFc1, LinearOp::kFc2));
}

TEST(OverlapModelTest, WhatCannotBeCutIsNamed) {
  EXPECT_EQ(WhyNotDivisible(Small(), 1, 7), "");
  EXPECT_EQ(WhyNotDivisible(Small(), 2, 8), "");
  EXPECT_EQ(WhyNotDivisible(Small(), 2, 7), "7 tokens are not divisible by 2");
  EXPECT_EQ(WhyNotDivisible(Small(), 4, 8), "6 attention heads are not divisible by 4");
  EXPECT_EQ(WhyNotDivisible(Small(), 3, 9), "tp 3 is not 2, 4, 8, 16 or 32");
}

TEST(OverlapSiteTest, CollectivesOfALayer) {
  int gathers = 0, scatters = 0, beside = 0;
  for (const LinearOp op : kLinearOps) {
    for (const LinearPass pass : kLinearPasses) {
      const SiteCollective collective = CollectiveOf({op, pass});
      gathers += collective == SiteCollective::kGather;
      scatters += collective == SiteCollective::kScatter;
      beside += collective == SiteCollective::kBeside;
    }
  }
  EXPECT_EQ(gathers, 4);
  EXPECT_EQ(scatters, 2);
  EXPECT_EQ(beside, 4);
}

TEST(OverlapSiteTest, KeysThereAndBack) {
  for (const LinearOp op : kLinearOps)
    for (const LinearPass pass : kLinearPasses)
      EXPECT_EQ(ParseSite(KeyOf({op, pass}), "test"), (OverlapSite{op, pass}));
  EXPECT_EQ(KeyOf({LinearOp::kFc1, LinearPass::kDgrad}), "fc1_dgrad");
  for (const char* key : {"", "qkv", "qkv_", "_fprop", "qkv_forward", "fc3_fprop", "qkv_fprop_x"})
    EXPECT_THROW(ParseSite(key, "test"), core::Error) << key;
}

TEST(OverlapSettingTest, JsonThereAndBack) {
  const OverlapSetting setting{.method = OverlapMethod::kBulk, .num_sm = 6, .cga_size = 2};
  EXPECT_EQ(ParseOverlapSetting(ToJson(setting), "test"), setting);
  try {
    ParseOverlapSetting({{"method", "magic"}}, "f.json");
    ADD_FAILURE();
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("f.json: unknown method \"magic\", must be one of"));
  }
}

}  // namespace
}  // namespace autodist::spec
