#include "autodist/measure/breakdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace autodist::measure {
namespace {

using device::OpKind;
using device::OpPhase;
using ::testing::HasSubstr;
using ::testing::Not;

// One rank's decode phase: `matrix_s` in products that read 2 GB, `wait_s` in communication.
device::OpTotals Rank(double wall_s, double matrix_s, double wait_s) {
  device::OpTotals totals;
  const auto decode = static_cast<size_t>(OpPhase::kDecode);
  totals.wall_s[decode] = wall_s;
  totals.of[decode][static_cast<size_t>(OpKind::kMatrixVector)] = {
      .seconds = matrix_s, .calls = 8, .bytes = 2'000'000'000, .flops = 4e9};
  totals.of[decode][static_cast<size_t>(OpKind::kCommunication)] = {
      .seconds = wait_s, .calls = 4, .bytes = 0, .flops = 0};
  return totals;
}

constexpr Limits kLimits{.read_bytes_per_s = 20e9, .gemm_flops_per_s = 1e12};

const BreakdownRow& RowOf(const PhaseBreakdown& breakdown, const std::string& name) {
  for (const BreakdownRow& row : breakdown.rows)
    if (row.name == name) return row;
  ADD_FAILURE() << name;
  return breakdown.rows.front();
}

// Four steps. Times are the mean of two ranks; bytes are the sum, as the read rate is that of both:
// 1 GB per step take 50 ms at 20 GB/s, 2 GFLOP 2 ms at 1 TFLOP/s.
TEST(BreakdownTest, TimesAreMeansAndBytesAreSumsOfTheRanks) {
  const PhaseBreakdown decode =
      BreakDown({Rank(0.4, 0.3, 0.06), Rank(0.4, 0.1, 0.26)}, OpPhase::kDecode, 4, kLimits);
  EXPECT_DOUBLE_EQ(decode.step_s, 0.1);
  const BreakdownRow& matrix = RowOf(decode, "matrix_vector");
  EXPECT_DOUBLE_EQ(matrix.seconds, 0.05);
  EXPECT_DOUBLE_EQ(matrix.bytes, 1e9);
  EXPECT_DOUBLE_EQ(matrix.flops, 2e9);
  EXPECT_DOUBLE_EQ(matrix.limit_s, 0.05);
  EXPECT_DOUBLE_EQ(matrix.fraction(), 1.0);
  EXPECT_DOUBLE_EQ(RowOf(decode, "communication").seconds, 0.04);
  EXPECT_NEAR(RowOf(decode, "other").seconds, 0.01, 1e-12);
}

TEST(BreakdownTest, TheRowsAddUpToTheWallTime) {
  const PhaseBreakdown decode = BreakDown({Rank(0.4, 0.3, 0.06)}, OpPhase::kDecode, 4, kLimits);
  double sum = 0;
  for (const BreakdownRow& row : decode.rows) sum += row.seconds;
  EXPECT_DOUBLE_EQ(sum, decode.step_s);
}

TEST(BreakdownTest, ComputeBoundWorkIsLimitedByTheGemmRate) {
  device::OpTotals totals;
  const auto prefill = static_cast<size_t>(OpPhase::kPrefill);
  totals.wall_s[prefill] = 1;
  totals.of[prefill][static_cast<size_t>(OpKind::kGemm)] = {
      .seconds = 0.8, .calls = 1, .bytes = 1'000'000, .flops = 4e11};
  const PhaseBreakdown breakdown = BreakDown({totals}, OpPhase::kPrefill, 1, kLimits);
  EXPECT_DOUBLE_EQ(RowOf(breakdown, "gemm").limit_s, 0.4);
  EXPECT_DOUBLE_EQ(RowOf(breakdown, "gemm").fraction(), 0.5);
}

TEST(BreakdownTest, MediansAreTakenPerColumn) {
  std::vector<PhaseBreakdown> samples;
  for (const double wall_s : {0.3, 0.1, 0.2})
    samples.push_back(BreakDown({Rank(wall_s, wall_s / 2, 0)}, OpPhase::kDecode, 1, kLimits));
  const PhaseBreakdown median = MedianOf(samples);
  EXPECT_DOUBLE_EQ(median.step_s, 0.2);
  EXPECT_DOUBLE_EQ(RowOf(median, "matrix_vector").seconds, 0.1);
}

TEST(BreakdownTest, TextLeavesOutWhatDidNotHappen) {
  const std::string text = ToText(BreakDown({Rank(0.4, 0.3, 0.06)}, OpPhase::kDecode, 4, kLimits));
  EXPECT_THAT(text, HasSubstr("matrix_vector  75.000  75.0 %  500.00  1000.0    25.000     33 %"));
  EXPECT_THAT(text, HasSubstr("communication"));
  EXPECT_THAT(text, Not(HasSubstr("embedding")));
}

TEST(BreakdownTest, TheFieldsOfTheContract) {
  const core::Json json = ToJson(BreakDown({Rank(0.4, 0.3, 0)}, OpPhase::kDecode, 4, kLimits));
  std::vector<std::string> fields, names;
  for (const auto& [name, value] : json["ops"][0].items()) fields.push_back(name);
  for (const core::Json& op : json["ops"]) names.push_back(op["name"]);
  EXPECT_THAT(fields,
              ::testing::ElementsAre("name", "step_s", "bytes", "flops", "limit_s", "fraction"));
  EXPECT_THAT(names, ::testing::ElementsAre("gemm", "matrix_vector", "attention", "rows",
                                            "embedding", "communication", "sampling", "other"));
}

}  // namespace
}  // namespace autodist::measure
