#include "autodist/comm/thread_communicator.h"

#include <gtest/gtest.h>

#include <utility>

#include "autodist/comm/conformance.h"
#include "autodist/comm/conformance_data.h"
#include "autodist/comm/testing.h"
#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

constexpr auto kRun = [](int ranks, const CommOptions& options, const RankBody& body) {
  RunOnThreads(ranks, options, body);
};

INSTANTIATE_TEST_SUITE_P(Threads, ConformanceTest,
                         testing::Values(Backend{"threads", 2, kRun}, Backend{"threads", 3, kRun},
                                         Backend{"threads", 4, kRun}, Backend{"threads", 8, kRun}),
                         BackendName);

TEST(ThreadCommunicatorTest, OneRankNeedsNobody) {
  auto group = CreateThreadGroup(1);
  Communicator& comm = *group[0];
  Tensor data = Input(DType::kF32, 17, 0);
  const Tensor before = data;
  comm.AllReduce(data.view()).Wait();
  comm.Broadcast(data.view(), 0).Wait();
  comm.Barrier();
  Tensor copy(DType::kF32, 17);
  comm.AllGather(data.view(), copy.view()).Wait();
  EXPECT_TRUE(SameBits(data, before));
  EXPECT_TRUE(SameBits(copy, before));
  EXPECT_EQ(comm.Split(3, 0)->size(), 1);
}

TEST(ThreadCommunicatorTest, MoreRanksThanAHostHoldsAreRefused) {
  try {
    CreateThreadGroup(257);
    ADD_FAILURE();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_STREQ(error.what(), "257 ranks on one host, at most 256 are supported");
  }
}

// A rank thread whose error nobody announces still does not hang the others: its communicator goes
// with its stack.
TEST(ThreadCommunicatorTest, AThreadThatThrowsIsNotWaitedFor) {
  RunOnThreads(2, CommOptions(), [](std::unique_ptr<Communicator>& shared) {
    const std::unique_ptr<Communicator> comm = std::move(shared);
    if (comm->rank() == 0) return;
    EXPECT_EQ(ErrorOf([&] { comm->Barrier(); }).kind(), core::ErrorKind::kPeerLost);
  });
}

TEST(ThreadCommunicatorDeathTest, WorkMustBeWaitedFor) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        auto group = CreateThreadGroup(2);
        float value = 0;
        const Work work = group[0]->Receive({&value, 1, 1}, 1);
      },
      "CHECK failed");
}

}  // namespace
}  // namespace autodist::comm
