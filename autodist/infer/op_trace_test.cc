#include "autodist/infer/op_trace.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "autodist/comm/thread_communicator.h"
#include "autodist/core/json.h"

namespace autodist::infer {
namespace {

using device::OpCost;
using device::OpKind;
using device::OpScope;

class OpTraceTest : public ::testing::Test {
 protected:
  ~OpTraceTest() override { std::filesystem::remove(path_); }
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / fmt::format("autodist_op_trace_{}.json", ::getpid());
};

// More events than one message holds, a different number on each rank.
TEST_F(OpTraceTest, RankZeroGetsTheEventsOfAllRanks) {
  constexpr int kRanks = 3;
  auto group = comm::CreateThreadGroup(kRanks, {});
  std::vector<RankEvents> gathered[kRanks];
  std::vector<std::thread> threads;
  for (int r = 0; r < kRanks; ++r)
    threads.emplace_back([&, r] {
      const auto rank = static_cast<size_t>(r);
      device::OpLog log(/*keep_events=*/true);
      for (int i = 0; i < r * 20'000; ++i)
        const OpScope op(&log,
                         [&] { return OpCost{.kind = OpKind::kRows, .name = "add", .rows = i}; });
      gathered[rank] = GatherEvents(*group[rank], log);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(gathered[1].empty() && gathered[2].empty());
  ASSERT_EQ(gathered[0].size(), 3u);
  for (size_t r = 0; r < 3; ++r) {
    const RankEvents& rank = gathered[0][r];
    EXPECT_EQ(rank.rank, static_cast<int>(r));
    ASSERT_EQ(rank.events.size(), r * 20'000);
    for (size_t i = 0; i < rank.events.size(); ++i)
      ASSERT_EQ(rank.events[i].rows, static_cast<int32_t>(i));
  }
}

TEST_F(OpTraceTest, AProcessPerRankAndTimesFromTheFirstEvent) {
  device::OpLog log(/*keep_events=*/true);
  {
    const OpScope layer(&log, [] { return OpCost{.name = "layer", .rows = 2, .layer = 5}; });
    const OpScope linear(&log, [] {
      return OpCost{.kind = OpKind::kGemm, .name = "linear", .rows = 2, .bytes = 8, .flops = 16};
    });
  }
  std::vector<RankEvents> ranks = {LocalEvents(0, log), LocalEvents(1, log)};
  const int64_t later_ns = 5'000;
  for (device::OpEvent& event : ranks[1].events) event.start_ns += later_ns;
  WriteTrace(path_, {.tp = 1, .pp = 2, .dp = 1}, ranks);

  const core::Json trace = core::ParseJsonFile(path_);
  std::vector<core::Json> events;
  std::vector<std::string> processes;
  for (const core::Json& event : trace["traceEvents"]) {
    if (event["ph"] == "X") events.push_back(event);
    if (event["name"] == "process_name") processes.push_back(event["args"]["name"]);
  }
  EXPECT_EQ(processes,
            (std::vector<std::string>{"rank 0 (stage 0, tp 0)", "rank 1 (stage 1, tp 0)"}));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]["name"], "linear");
  EXPECT_EQ(events[0]["cat"], "gemm");
  EXPECT_EQ(events[0]["args"],
            core::Json({{"rows", 2}, {"bytes", 8}, {"flops", 16}, {"layer", 5}}));
  EXPECT_EQ(events[1]["name"], "layer 5");
  EXPECT_EQ(events[1]["ts"], 0);
  EXPECT_EQ(events[3]["pid"], 1);
  EXPECT_EQ(events[3]["ts"], 5);
}

TEST_F(OpTraceTest, WithoutEventsTheTraceIsEmpty) {
  WriteTrace(path_, {}, {RankEvents{}});
  EXPECT_EQ(core::ParseJsonFile(path_)["traceEvents"].size(), 3u);  // names alone
}

}  // namespace
}  // namespace autodist::infer
