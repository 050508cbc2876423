#include "autodist/arch/known_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/arch/registry.h"

namespace autodist::arch {
namespace {

using spec::LinearOp;
using spec::LinearShape;
using ::testing::ElementsAre;

TEST(KnownModelsTest, EveryModelOfTheRequirementIsThere) {
  for (const char* name :
       {"Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-72B", "Qwen/Qwen3-0.6B",
        "Qwen/Qwen3-1.7B", "Qwen/Qwen3-4B", "Qwen/Qwen3-8B", "Qwen/Qwen3-14B", "Qwen/Qwen3-32B",
        "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-235B-A22B", "Qwen1.5-MoE-A2.7B", "DeepSeek-Coder-1.3B",
        "DeepSeek-V3-Base", "opt-1.3b", "Llama-3-70B", "Llama-3-405B"})
    EXPECT_TRUE(FindKnownModel(name)) << name;
  EXPECT_EQ(FindKnownModel("qwen3-8b")->name, "Qwen/Qwen3-8B");
  EXPECT_FALSE(FindKnownModel("Qwen/Qwen3-9B"));
  EXPECT_FALSE(FindKnownModel(""));
  EXPECT_EQ(KnownModelNames().size(), 18u);
}

// The names of the models say how many there are.
TEST(KnownModelsTest, ParametersAreThoseOfTheName) {
  const std::pair<const char*, double> cases[] = {
      {"Qwen2.5-0.5B", 0.494}, {"Qwen2.5-7B", 7.62},         {"Qwen2.5-72B", 72.7},
      {"Qwen3-0.6B", 0.596},   {"Qwen3-1.7B", 1.72},         {"Qwen3-4B", 4.02},
      {"Qwen3-8B", 8.19},      {"Qwen3-14B", 14.8},          {"Qwen3-32B", 32.8},
      {"opt-1.3b", 1.31},      {"Llama-3-8B", 8.03},         {"Llama-3-70B", 70.6},
      {"Llama-3-405B", 405.9}, {"DeepSeek-Coder-1.3B", 1.35}};
  for (const auto& [name, billions] : cases)
    EXPECT_NEAR(static_cast<double>(FindKnownModel(name)->parameters) / 1e9 / billions, 1, 0.01)
        << name;
}

TEST(KnownModelsTest, ShapesOfQwen3) {
  const spec::OverlapModel model = *FindKnownModel("Qwen/Qwen3-8B");
  EXPECT_EQ(ShapeOf(model, LinearOp::kQkv), (LinearShape{4096, 6144}));
  EXPECT_EQ(ShapeOf(model, LinearOp::kProj), (LinearShape{4096, 4096}));
  EXPECT_EQ(ShapeOf(model, LinearOp::kFc1), (LinearShape{4096, 24576}));
  EXPECT_EQ(ShapeOf(model, LinearOp::kFc2), (LinearShape{12288, 4096}));
}

TEST(KnownModelsTest, WhatHasNoUserbuffersIsLeftOutAndSaid) {
  const spec::OverlapModel experts = *FindKnownModel("Qwen3-30B-A3B");
  EXPECT_THAT(experts.Operators(), ElementsAre(LinearOp::kQkv, LinearOp::kProj));
  EXPECT_EQ(experts.notes.size(), 1u);
  const spec::OverlapModel deepseek = *FindKnownModel("DeepSeek-V3-Base");
  EXPECT_THAT(deepseek.Operators(), ElementsAre(LinearOp::kProj, LinearOp::kFc1, LinearOp::kFc2));
  EXPECT_EQ(ShapeOf(deepseek, LinearOp::kProj), (LinearShape{16384, 7168}));
}

// A config.json gives the same dimensions as the table would: the bundled model.
TEST(KnownModelsTest, FromAConfigFile) {
  const spec::ModelConfig config =
      ParseConfig(std::filesystem::path(AUTODIST_SOURCE_DIR) / "models/story-2m");
  const spec::OverlapModel model = OverlapModelOf(config, "story-2m");
  EXPECT_EQ(ShapeOf(model, LinearOp::kQkv),
            (LinearShape{config.hidden_size, config.q_size() + 2 * config.kv_size()}));
  EXPECT_EQ(model.num_layers, config.num_layers);
  EXPECT_GT(model.parameters, 1'000'000);
}

}  // namespace
}  // namespace autodist::arch
