#include "autodist/measure/verification.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace autodist::measure {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Three positions of a vocabulary of 2: a prompt of one id, two generated ones.
const std::vector<int32_t> kPrompt = {0};
VerifiedRun RunOf(std::vector<int32_t> tokens, std::vector<float> logits) {
  return {std::move(tokens), std::move(logits)};
}

spec::ParallelPlan Plan(core::DType dtype) {
  spec::ParallelPlan plan;
  plan.mesh = {.tp = 2, .pp = 3, .dp = 1};
  plan.compute_dtype = dtype;
  return plan;
}

TEST(CompareLogitsTest, ErrorsAreRelativeToTheReference) {
  const LogitsError error = CompareLogits({1, 2, -3}, {1, 2, -4});
  EXPECT_DOUBLE_EQ(error.max, 1.0 / 4);
  EXPECT_DOUBLE_EQ(error.rms, std::sqrt(1.0 / 21));
  EXPECT_EQ(CompareLogits({0, 0}, {0, 0}).max, 0.0);
}

TEST(CompareLogitsTest, ANonFiniteLogitIsAnInfiniteError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(CompareLogits({1, nan}, {1, nan}).max, kInfinity);
  EXPECT_EQ(CompareLogits({1, 1}, {1, nan}).rms, kInfinity);
}

TEST(VerificationTest, F32IsWithinBoundsUpToOneInAHundredThousand) {
  const VerifiedRun reference = RunOf({1, 1}, {-1, 1, -1, 1, 0, 1});
  VerifiedRun mesh = reference;
  mesh.logits[0] += 0.9e-5f;
  EXPECT_TRUE(Judge(Plan(core::DType::kF32), kPrompt, mesh, reference, nullptr).within_bounds());
  mesh.logits[0] += 0.9e-5f;
  EXPECT_FALSE(Judge(Plan(core::DType::kF32), kPrompt, mesh, reference, nullptr).within_bounds());
}

// The first generated token follows position 0, the second position 1: there the logits are 0.5
// apart and no rounding excuses another token.
TEST(VerificationTest, AnotherTokenIsOutOfBoundsUnlessItIsATie) {
  const VerifiedRun mesh = RunOf({1, 0}, {-1, 1, 0.5, 1, 0, 1});
  VerifiedRun reference = RunOf({1, 1}, mesh.logits);
  VerificationReport report = Judge(Plan(core::DType::kF32), kPrompt, mesh, reference, nullptr);
  ASSERT_TRUE(report.difference.has_value());
  EXPECT_EQ(report.difference->index, 1);
  EXPECT_DOUBLE_EQ(report.difference->margin, 0.5);
  EXPECT_FALSE(report.within_bounds());

  reference.logits[2] = reference.logits[3];
  VerifiedRun tied = mesh;
  tied.logits = reference.logits;
  EXPECT_TRUE(Judge(Plan(core::DType::kF32), kPrompt, tied, reference, nullptr).within_bounds());
}

// One rank errs by 0.01 of the largest logit; the mesh may err by 0.02.
TEST(VerificationTest, Bf16IsJudgedByTheErrorOfOneRank) {
  const VerifiedRun exact = RunOf({1, 1}, {-1, 1, -1, 1, 0, 1});
  VerifiedRun one_rank = exact;
  one_rank.logits = {-1.01f, 1.01f, -1.01f, 1.01f, 0.01f, 1.01f};
  VerifiedRun mesh = one_rank;
  mesh.logits[0] = -1.019f;
  EXPECT_TRUE(Judge(Plan(core::DType::kBF16), kPrompt, mesh, one_rank, &exact).within_bounds());
  mesh.logits[0] = -1.021f;
  EXPECT_FALSE(Judge(Plan(core::DType::kBF16), kPrompt, mesh, one_rank, &exact).within_bounds());
}

TEST(VerificationTest, NonFiniteLogitsAreCountedAndOutOfBounds) {
  VerifiedRun run = RunOf({1, 1}, {-1, 1, -1, 1, 0, 1});
  run.logits[3] = std::numeric_limits<float>::infinity();
  const VerificationReport report = Judge(Plan(core::DType::kF32), kPrompt, run, run, nullptr);
  EXPECT_EQ(report.nonfinite_logits, 1u);
  EXPECT_FALSE(report.within_bounds());
}

// An error that is infinite because the reference is NaN is no bound for the mesh.
TEST(VerificationTest, AReferenceThatIsNotFiniteProvesNothing) {
  const VerifiedRun finite = RunOf({1, 1}, {-1, 1, -1, 1, 0, 1});
  VerifiedRun broken = finite;
  broken.logits[3] = std::numeric_limits<float>::quiet_NaN();
  const auto judge = [](const VerifiedRun& mesh, const VerifiedRun& one, const VerifiedRun& exact) {
    return Judge(Plan(core::DType::kBF16), kPrompt, mesh, one, &exact).within_bounds();
  };
  EXPECT_TRUE(judge(finite, finite, finite));
  EXPECT_FALSE(judge(finite, broken, finite));
  EXPECT_FALSE(judge(finite, finite, broken));
}

TEST(VerificationTest, TheFieldsOfTheContract) {
  const VerifiedRun run = RunOf({1, 1}, {-1, 1, -1, 1, 0, 1});
  const core::Json json = ToJson(Judge(Plan(core::DType::kF32), kPrompt, run, run, nullptr));
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"mesh", "dtype", "weights", "prompt_token_ids", "token_ids",
                                      "reference_token_ids", "errors", "token_difference",
                                      "nonfinite_logits", "nonfinite_weights", "within_bounds"}));
}

}  // namespace
}  // namespace autodist::measure
