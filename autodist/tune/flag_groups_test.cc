#include "autodist/tune/flag_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace autodist::tune {
namespace {

using spec::LinearOp;
using spec::LinearPass;

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr spec::OverlapSite kQkvFprop{LinearOp::kQkv, LinearPass::kFprop};
constexpr spec::OverlapSite kQkvDgrad{LinearOp::kQkv, LinearPass::kDgrad};
constexpr spec::OverlapSite kQkvWgrad{LinearOp::kQkv, LinearPass::kWgrad};
constexpr spec::OverlapSite kFc1Fprop{LinearOp::kFc1, LinearPass::kFprop};
constexpr spec::OverlapSite kFc1Dgrad{LinearOp::kFc1, LinearPass::kDgrad};
constexpr spec::OverlapSite kFc2Dgrad{LinearOp::kFc2, LinearPass::kDgrad};
constexpr spec::OverlapSite kProjFprop{LinearOp::kProj, LinearPass::kFprop};
constexpr spec::OverlapSite kProjWgrad{LinearOp::kProj, LinearPass::kWgrad};

SiteCosts OverlapOnly(double sequential_s, double overlap_s) {
  return {sequential_s, overlap_s, kNone, kNone};
}

TEST(FlagGroupsTest, NothingGains) {
  const FlagChoice choice =
      ChooseFlags({{kQkvFprop, OverlapOnly(10, 11)}, {kProjFprop, OverlapOnly(10, 12)}}, 0);
  EXPECT_FALSE(choice.flags.any());
  EXPECT_EQ(choice.flags, OverlapFlags{});
  EXPECT_DOUBLE_EQ(choice.layer_s, 20);
}

// The gathers share a switch: fc2_dgrad loses 3, qkv_fprop and fc1_fprop gain 2 each.
TEST(FlagGroupsTest, AGroupIsDecidedByItsSum) {
  const LayerCosts costs = {{kQkvFprop, OverlapOnly(10, 8)},
                            {kFc1Fprop, OverlapOnly(10, 8)},
                            {kFc2Dgrad, OverlapOnly(10, 13)}};
  const FlagChoice choice = ChooseFlags(costs, 0);
  EXPECT_TRUE(choice.flags.overlap_ag);
  EXPECT_DOUBLE_EQ(choice.layer_s, 29);
  EXPECT_EQ(choice.decisions[0].name, "tp_comm_overlap_ag");
  EXPECT_DOUBLE_EQ(choice.decisions[0].on_s, 29);
  EXPECT_DOUBLE_EQ(choice.decisions[0].off_s, 30);
}

// qkv_fprop can be taken out of the group again, fc2_dgrad cannot.
TEST(FlagGroupsTest, DisablingOneLayerOfAGroup) {
  const FlagChoice choice =
      ChooseFlags({{kQkvFprop, OverlapOnly(10, 15)}, {kFc1Fprop, OverlapOnly(10, 8)}}, 0);
  EXPECT_TRUE(choice.flags.overlap_ag);
  EXPECT_TRUE(choice.flags.disable_qkv);
  EXPECT_FALSE(choice.flags.disable_fc1);
  EXPECT_DOUBLE_EQ(choice.layer_s, 18);
}

// Scattering the gradient costs dgrad more than bulk, but leaves wgrad the product alone.
TEST(FlagGroupsTest, ScatteringTheGradientSparesTheWgradItsCollective) {
  LayerCosts costs = {{kQkvDgrad, {20, 15, 16, kNone}}, {kQkvWgrad, {20, 15, kNone, 10}}};
  const FlagChoice choice = ChooseFlags(costs, 0);
  EXPECT_TRUE(choice.flags.overlap_rs_dgrad);
  EXPECT_FALSE(choice.flags.bulk_dgrad);
  EXPECT_DOUBLE_EQ(choice.layer_s, 26);
  EXPECT_EQ(ModeOf(choice.flags, kQkvDgrad), SiteMode::kScatter);
  EXPECT_EQ(ModeOf(choice.flags, kQkvWgrad), SiteMode::kProduct);
  costs[kQkvDgrad].scatter_s = 25;
  EXPECT_TRUE(ChooseFlags(costs, 0).flags.bulk_dgrad);
}

// With the switch on for qkv, fc1 would scatter too; disable_fc1 keeps it in bulk.
TEST(FlagGroupsTest, OneLayerScattersAndTheOtherIsBulk) {
  const FlagChoice choice = ChooseFlags({{kQkvDgrad, {20, 15, 11, kNone}},
                                         {kQkvWgrad, {10, 10, kNone, 10}},
                                         {kFc1Dgrad, {20, 12, kNone, kNone}}},
                                        0);
  EXPECT_TRUE(choice.flags.overlap_rs_dgrad && choice.flags.disable_fc1 && choice.flags.bulk_dgrad);
  EXPECT_DOUBLE_EQ(choice.layer_s, 33);
}

TEST(FlagGroupsTest, SmallGainsAreNotWorthASwitch) {
  const LayerCosts costs = {{kProjFprop, OverlapOnly(10, 9.95)}};
  EXPECT_TRUE(ChooseFlags(costs, 0).flags.overlap_rs);
  EXPECT_FALSE(ChooseFlags(costs, 0.01).flags.overlap_rs);
}

TEST(FlagGroupsTest, FailedCases) {
  EXPECT_TRUE(ChooseFlags({{kProjFprop, OverlapOnly(kNone, 9)}}, 0).flags.overlap_rs);
  EXPECT_FALSE(ChooseFlags({{kProjFprop, OverlapOnly(9, kNone)}}, 0).flags.overlap_rs);
  EXPECT_FALSE(std::isfinite(ChooseFlags({{kProjFprop, OverlapOnly(kNone, kNone)}}, 0).layer_s));
  EXPECT_EQ(ModeOf({.overlap_ag = true, .overlap_rs = true}, kProjWgrad), SiteMode::kSequential);
}

}  // namespace
}  // namespace autodist::tune
