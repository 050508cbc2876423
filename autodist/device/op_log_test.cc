#include "autodist/device/op_log.h"

#include <gtest/gtest.h>

#include <string>

namespace autodist::device {
namespace {

OpCost Cost(OpKind kind, const char* name, uint64_t bytes = 0, double flops = 0) {
  return {.kind = kind, .name = name, .rows = 1, .bytes = bytes, .flops = flops};
}

TEST(OpLogTest, WithoutALogNothingIsAsked) {
  const OpScope scope(nullptr, []() -> OpCost {
    ADD_FAILURE();
    return {};
  });
}

TEST(OpLogTest, TotalsAreByPhaseAndKind) {
  OpLog log(/*keep_events=*/false);
  log.EnterPhase(OpPhase::kPrefill);
  for (int i = 0; i < 2; ++i)
    const OpScope scope(&log, [] { return Cost(OpKind::kGemm, "linear", 10, 100); });
  log.EnterPhase(OpPhase::kDecode);
  {
    const OpScope scope(&log, [] { return Cost(OpKind::kRows, "norm", 3, 4); });
  }
  log.EnterPhase(OpPhase::kOther);

  const OpTotals& totals = log.totals();
  EXPECT_EQ(totals.At(OpPhase::kPrefill, OpKind::kGemm).calls, 2u);
  EXPECT_EQ(totals.At(OpPhase::kPrefill, OpKind::kGemm).bytes, 20u);
  EXPECT_EQ(totals.At(OpPhase::kPrefill, OpKind::kGemm).flops, 200.0);
  EXPECT_EQ(totals.At(OpPhase::kDecode, OpKind::kRows).bytes, 3u);
  EXPECT_EQ(totals.At(OpPhase::kDecode, OpKind::kGemm).calls, 0u);
  EXPECT_TRUE(log.events().empty());

  log.ClearTotals();
  EXPECT_EQ(log.totals().At(OpPhase::kPrefill, OpKind::kGemm).calls, 0u);
}

// Waiting for peers inside of sampling is communication, not sampling; a step around both is
// neither. So the kinds never add up to more than the wall time.
TEST(OpLogTest, ATotalIsTheTimeWithoutTheScopesInside) {
  OpLog log(/*keep_events=*/true);
  log.EnterPhase(OpPhase::kDecode);
  {
    const OpScope step(&log, [] { return OpCost{.name = "decode"}; });
    const OpScope sample(&log, [] { return Cost(OpKind::kSampling, "sample"); });
    const OpScope gather(&log, [] { return Cost(OpKind::kCommunication, "all_gather"); });
  }
  log.EnterPhase(OpPhase::kOther);
  ASSERT_EQ(log.events().size(), 3u);
  const OpEvent& gather = log.events()[0];
  const OpEvent& sample = log.events()[1];
  const OpEvent& step = log.events()[2];
  EXPECT_EQ(std::string(step.name), "decode");
  for (const auto& [inner, outer] : {std::pair(&gather, &sample), std::pair(&sample, &step)}) {
    EXPECT_GE(inner->start_ns, outer->start_ns);
    EXPECT_LE(inner->start_ns + inner->duration_ns, outer->start_ns + outer->duration_ns);
  }
  const OpTotals& totals = log.totals();
  EXPECT_NEAR(totals.At(OpPhase::kDecode, OpKind::kSampling).seconds,
              static_cast<double>(sample.duration_ns - gather.duration_ns) * 1e-9, 1e-12);
  EXPECT_NEAR(totals.Seconds(OpKind::kCommunication),
              static_cast<double>(gather.duration_ns) * 1e-9, 1e-12);
  EXPECT_LE(totals.Seconds(OpKind::kSampling) + totals.Seconds(OpKind::kCommunication),
            totals.wall_s[static_cast<size_t>(OpPhase::kDecode)]);
}

TEST(OpLogTest, OperationsBelongToTheLayerAroundThem) {
  OpLog log(/*keep_events=*/true);
  {
    const OpScope layer(&log, [] { return OpCost{.name = "layer", .layer = 7}; });
    const OpScope norm(&log, [] { return Cost(OpKind::kRows, "norm"); });
  }
  {
    const OpScope head(&log, [] { return Cost(OpKind::kGemm, "linear"); });
  }
  ASSERT_EQ(log.events().size(), 3u);
  EXPECT_EQ(log.events()[0].layer, 7);
  EXPECT_EQ(log.events()[1].layer, 7);
  EXPECT_EQ(log.events()[2].layer, -1);
}

TEST(OpLogTest, EventsAreBoundedAndTotalsAreNot) {
  OpLog log(/*keep_events=*/true);
  for (size_t i = 0; i < OpLog::kMaxEvents + 3; ++i)
    const OpScope scope(&log, [] { return Cost(OpKind::kRows, "add"); });
  EXPECT_EQ(log.events().size(), OpLog::kMaxEvents);
  EXPECT_EQ(log.dropped_events(), 3u);
  EXPECT_EQ(log.totals().At(OpPhase::kOther, OpKind::kRows).calls, OpLog::kMaxEvents + 3);
}

}  // namespace
}  // namespace autodist::device
