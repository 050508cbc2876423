// --trace: one file with the events of every rank, however the ranks were started.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "tests/process/launched_job.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;
using testing::LaunchedJob;
using testing::Launcher;

const fs::path kModel = fs::path(AUTODIST_SOURCE_DIR) / "tests/golden/data/llama_plain";

struct Interval {
  double start = 0;
  double end = 0;
  std::string name;
};

// In the order of their starts; of equal ones the longer first.
bool Before(const Interval& a, const Interval& b) {
  return a.start != b.start ? a.start < b.start : a.end > b.end;
}

// Events of one thread lie inside or beside each other; times are rounded to nanoseconds.
void ExpectNested(std::vector<Interval> intervals) {
  constexpr double kRounding = 0.002;
  std::sort(intervals.begin(), intervals.end(), Before);
  std::vector<Interval> open;
  for (const Interval& interval : intervals) {
    while (!open.empty() && open.back().end <= interval.start + kRounding) open.pop_back();
    if (!open.empty()) {
      ASSERT_LE(interval.end, open.back().end + kRounding)
          << interval.name << " in " << open.back().name;
    }
    open.push_back(interval);
  }
}

class ProgramTraceTest : public ::testing::TestWithParam<Launcher> {
 protected:
  void SetUp() override {
    if (GetParam() == Launcher::kTorchrun && testing::FindTorchrun().empty())
      GTEST_SKIP() << "no torchrun (AUTODIST_TORCHRUN, PATH)";
  }

  // The trace of `command` on tp 2 x pp 2, checked for what all traces have in common; events by
  // rank.
  std::map<int, std::vector<core::Json>> Trace(std::vector<std::string> command) {
    const fs::path file = directory_.path() / "trace.json";
    fs::remove(file);
    command.insert(command.begin(), AUTODIST_PROGRAM);
    for (const char* flag : {"--tp=2", "--pp=2", "--threads=1", "--no-cache", "--quiet"})
      command.emplace_back(flag);
    command.push_back("--model=" + kModel.string());
    command.push_back("--trace=" + file.string());
    LaunchedJob job(GetParam(), 4, command);
    EXPECT_TRUE(job.GoneWithin(std::chrono::seconds(60)));
    EXPECT_EQ(job.ExitCode(job.launcher()), 0) << job.errors();

    std::map<int, std::vector<core::Json>> ranks;
    std::map<int, std::vector<Interval>> intervals;
    const core::Json trace = core::ParseJsonFile(file);
    for (const core::Json& event : trace["traceEvents"]) {
      if (event["ph"] != "X") continue;
      const int rank = event["pid"].get<int>();
      const auto start = event["ts"].get<double>();
      EXPECT_GE(start, 0);
      intervals[rank].push_back({start, start + event["dur"].get<double>(), event["name"]});
      ranks[rank].push_back(event);
    }
    for (const auto& [rank, of_rank] : intervals) ExpectNested(of_rank);
    EXPECT_EQ(ranks.size(), 4u);
    return ranks;
  }

  const testing::TestDirectory directory_{"trace"};
};

std::set<std::string> NamesOf(const std::vector<core::Json>& events) {
  std::set<std::string> names;
  for (const core::Json& event : events) names.insert(event["name"].get<std::string>());
  return names;
}

TEST_P(ProgramTraceTest, EveryRankShowsItsPartOfTheModel) {
  const auto ranks = Trace(
      {"generate", "--token-ids=1,2,3", "--max-output-length=3", "--ignore-eos", "--no-stream"});
  for (const auto& [rank, events] : ranks) {
    const std::set<std::string> names = NamesOf(events);
    EXPECT_THAT(names, ::testing::IsSupersetOf({"load", "prefill", "decode", "linear", "rms_norm",
                                                "attention", "all_reduce"}))
        << "rank " << rank;
    // Ranks 0 and 1 are the first stage, with the embedding; 2 and 3 the last, which samples.
    EXPECT_EQ(names.count("layer 0"), rank < 2 ? 1u : 0u) << "rank " << rank;
    EXPECT_EQ(names.count("embed"), rank < 2 ? 1u : 0u) << "rank " << rank;
    EXPECT_EQ(names.count("sample"), rank < 2 ? 0u : 1u) << "rank " << rank;
  }
  for (const core::Json& event : ranks.at(0)) {
    if (event["name"] != "linear") continue;
    EXPECT_GT(event["args"]["bytes"], 0);
    EXPECT_GT(event["args"]["flops"], 0);
    EXPECT_GE(event["args"]["layer"], 0);  // the head is on the last stage
  }
}

// Rank 2 receives what rank 0 sends: on one clock it has it after the send began.
TEST_P(ProgramTraceTest, TheRanksShareAClock) {
  const auto ranks = Trace(
      {"logits", "--token-ids=1,2,3", "--output=" + (directory_.path() / "logits.npy").string()});
  const auto first = [&](int rank, const std::string& name) {
    for (const core::Json& event : ranks.at(rank))
      if (event["name"] == name) return event;
    ADD_FAILURE() << "rank " << rank << " has no " << name;
    return core::Json{{"ts", 0.0}, {"dur", 0.0}};
  };
  const core::Json send = first(0, "send");
  // Received at once, or waited for.
  const core::Json receive = first(2, "receive");
  const double received = receive["ts"].get<double>() + receive["dur"].get<double>();
  const core::Json embed = first(0, "embed");
  EXPECT_LT(embed["ts"].get<double>(), first(2, "linear")["ts"].get<double>());
  EXPECT_LT(send["ts"].get<double>(), first(2, "linear")["ts"].get<double>());
  EXPECT_LT(received, first(2, "linear")["ts"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Forked, ProgramTraceTest,
                         ::testing::Values(Launcher::kNone, Launcher::kForked));
INSTANTIATE_TEST_SUITE_P(Torchrun, ProgramTraceTest, ::testing::Values(Launcher::kTorchrun));
INSTANTIATE_TEST_SUITE_P(Mpirun, ProgramTraceTest, ::testing::Values(Launcher::kMpirun));

}  // namespace
}  // namespace autodist
