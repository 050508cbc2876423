#include "autodist/trace/analysis.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "autodist/trace/merge.h"
#include "autodist/trace/testing/trace_text.h"

namespace autodist::trace {
namespace {

// fc1 on one rank: a GEMM of `gemm` us, and an all-gather of 10 us that begins with it.
Trace OfRank(int rank, double gemm, int64_t base_time_ns = 0) {
  return TraceText()
      .Field(fmt::format(R"("distributedInfo": {{"rank": {}}}, "baseTimeNanoseconds": {})", rank,
                         base_time_ns))
      .Annotation("fc1_fprop", 0, 10)
      .Launch(1, 1)
      .Launch(2, 2)
      .Kernel("gemm", 100, gemm, {.stream = 7, .correlation = 1, .device = rank})
      .Kernel("ncclDevKernel_AllGather_RING_LL", 100, 10,
              {.stream = 20, .correlation = 2, .device = rank})
      .Read();
}

TEST(KernelTimesTest, TheLongestFirstAndTracesTogether) {
  TraceText text;
  text.Kernel("b", 0, 5, {}).Kernel("a", 10, 3, {}).Kernel("a", 20, 4, {});
  const std::vector<Trace> traces = {text.Read(), text.Read()};
  const std::vector<KernelTime> times = KernelTimes(traces);
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[0].name.text, "a");
  EXPECT_EQ(times[0].count, 4);
  EXPECT_EQ(times[0].total_ns, 14000);
  EXPECT_EQ(times[1].total_ns, 10000);
}

TEST(AnalyzeTest, UnknownKernelsWithTheirTime) {
  TraceText text;
  text.Kernel("gemm", 0, 5, {}).Kernel("my_all_gather", 10, 3, {}).Kernel("mystery", 20, 4, {});
  const RankAnalysis analysis = Analyze(text.Read());
  ASSERT_EQ(analysis.unknown_kernels.size(), 2u);
  EXPECT_EQ(analysis.unknown_kernels[0].name.text, "mystery");
  EXPECT_EQ(analysis.unknown_kernels[0].total_ns, 4000);
  EXPECT_TRUE(analysis.unknown_kernels[1].name.looks_like_comm);
  EXPECT_EQ(analysis.events_without_operator, 3);
}

TEST(MergeRanksTest, TheSlowestRankCounts) {
  const std::vector<RankAnalysis> ranks = {Analyze(OfRank(0, 20)), Analyze(OfRank(1, 35)),
                                           Analyze(OfRank(2, 30))};
  const std::vector<MergedOperator> merged = MergeRanks(ranks);
  ASSERT_EQ(merged.size(), 1u);
  EXPECT_EQ(merged[0].ranks, 3);
  EXPECT_EQ(merged[0].slowest, 1u);
  EXPECT_EQ(merged[0].metrics.wall_ns, 35000);
  EXPECT_EQ(merged[0].fastest_wall_ns, 20000);
}

TEST(ToJsonTest, TheBaselineGivesSlowdownAndEfficiency) {
  const RankAnalysis rank = Analyze(OfRank(0, 22));
  const RankAnalysis baseline = Analyze(OfRank(0, 20));
  const core::Json with = ToJson({&rank, 1}, &baseline)["ranks"][0]["operators"][0];
  EXPECT_DOUBLE_EQ(with["gemm_slowdown"].get<double>(), 1.1);
  EXPECT_DOUBLE_EQ(with["efficiency"].get<double>(), 20.0 / 22);
  EXPECT_DOUBLE_EQ(with["hidden_pct"].get<double>(), 100);
  const core::Json without = ToJson({&rank, 1}, nullptr)["ranks"][0]["operators"][0];
  EXPECT_TRUE(without["efficiency"].is_null());
}

// Two clocks that began 1 ms apart; the merged file can be analysed like any other.
TEST(WriteMergedTest, OneClockAndReadableAgain) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "autodist_trace_merged.json";
  const std::vector<Trace> traces = {OfRank(0, 20, 5'000'000), OfRank(1, 35, 6'000'000)};
  WriteMerged(traces, file);
  const Trace merged = ReadTrace(file, Classifier());
  std::filesystem::remove(file);
  ASSERT_EQ(merged.events.size(), 4u);
  EXPECT_EQ(merged.events[0].start_ns, 0);
  EXPECT_EQ(merged.events[2].start_ns, 1'000'000);
  EXPECT_EQ(merged.streams[merged.events[2].stream].device, 1);
  const std::vector<OperatorMetrics> operators = MeasureOperators(merged);
  ASSERT_EQ(operators.size(), 1u);
  EXPECT_EQ(Label(operators[0].op), "fc1_fprop");
  EXPECT_EQ(operators[0].windows.size(), 2u);
}

}  // namespace
}  // namespace autodist::trace
