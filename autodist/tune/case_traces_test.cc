#include "autodist/tune/case_traces.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "autodist/tune/testing/synthetic_trace.h"

namespace autodist::tune {
namespace {

using ::testing::HasSubstr;

class CaseTracesTest : public ::testing::Test {
 protected:
  CaseTracesTest()
      : directory_(std::filesystem::temp_directory_path() /
                   fmt::format("autodist_case_traces_{}", ::getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~CaseTracesTest() override { std::filesystem::remove_all(directory_); }

  const std::filesystem::path directory_;
};

// What the trace reader makes of a trace is what the trace was made from.
TEST_F(CaseTracesTest, SyntheticTracesHaveKnownAnswers) {
  const CaseSample sample{.wall_s = 100e-6, .gemm_s = 80e-6, .comm_s = 60e-6};
  for (const char* const key : {"qkv_fprop", "proj_fprop", "fc1_dgrad", "fc2_dgrad", "qkv_wgrad"}) {
    for (const spec::OverlapMethod method :
         {spec::OverlapMethod::kSequential, spec::OverlapMethod::kRingExchange,
          spec::OverlapMethod::kBulk}) {
      const OverlapCase overlap_case{
          .tp = 2, .site = spec::ParseSite(key, "test"), .setting = {.method = method}};
      for (int rank = 0; rank < 2; ++rank)
        std::ofstream(directory_ / fmt::format("rank{}.json", rank))
            << SyntheticTrace(overlap_case, rank, {sample, sample});
      const CaseResult result = ReadCaseTraces(overlap_case, directory_);
      ASSERT_EQ(result.error, "") << overlap_case.Id();
      ASSERT_EQ(result.samples.size(), 2u) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].wall_s, 100e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].gemm_s, 80e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].comm_s, 60e-6, 2e-9) << overlap_case.Id();
      EXPECT_NEAR(result.samples[1].exposed_s, 20e-6, 2e-9) << overlap_case.Id();
    }
  }
}

// A product that covers a whole copy between devices hides all of it.
TEST_F(CaseTracesTest, ACopyBetweenDevicesUnderAProductIsHidden) {
  const OverlapCase ring{.tp = 2,
                         .site = spec::ParseSite("fc1_fprop", "test"),
                         .setting = {.method = spec::OverlapMethod::kRingExchange}};
  for (int rank = 0; rank < 2; ++rank)
    std::ofstream(directory_ / fmt::format("rank{}.json", rank))
        << SyntheticTrace(ring, rank, {{.wall_s = 90e-6, .gemm_s = 90e-6, .comm_s = 30e-6}});
  const CaseResult result = ReadCaseTraces(ring, directory_);
  EXPECT_NEAR(result.samples.at(0).comm_s, 30e-6, 2e-9);
  EXPECT_EQ(result.samples.at(0).exposed_s, 0);
}

TEST_F(CaseTracesTest, TracesThatLackSomethingFailTheirCase) {
  const OverlapCase overlap_case{.tp = 2, .site = spec::ParseSite("fc1_fprop", "test")};
  const CaseSample sample{.wall_s = 2e-6, .gemm_s = 1e-6, .comm_s = 1e-6};
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error,
              HasSubstr("traces of 0 ranks, must be 2"));
  std::ofstream(directory_ / "rank0.json") << SyntheticTrace(overlap_case, 0, {sample, sample});
  std::ofstream(directory_ / "rank1.json") << SyntheticTrace(overlap_case, 1, {sample});
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error,
              HasSubstr("ran 1 times, on another rank 2 times"));
  std::ofstream(directory_ / "rank1.json") << "{\"traceEvents\": [";
  EXPECT_THAT(ReadCaseTraces(overlap_case, directory_).error, HasSubstr("rank1.json"));
}

}  // namespace
}  // namespace autodist::tune
