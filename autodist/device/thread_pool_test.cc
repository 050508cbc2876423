#include "autodist/device/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <vector>

#include "autodist/core/log.h"

namespace autodist::device {
namespace {

TEST(ThreadPoolTest, EveryWorkerRunsOnceAndTheCallerIsWorkerZero) {
  ThreadPool pool(3);
  std::vector<std::thread::id> ids(3);
  // A caller that takes its time leaves the other shares to their workers.
  while (std::set(ids.begin(), ids.end()).size() < 3) {
    std::vector<int> calls(3, 0);
    pool.Run([&](int worker) {
      ids[worker] = std::this_thread::get_id();
      ++calls[worker];
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    EXPECT_THAT(calls, testing::Each(1));
    EXPECT_EQ(ids[0], std::this_thread::get_id());
  }
}

// More threads than cores, thousands of rounds, plain (not atomic) memory handed over each way: the
// run under ThreadSanitizer proves that Run() orders it.
TEST(ThreadPoolTest, RoundsAreOrderedWithManyMoreThreadsThanCores) {
  ThreadPool pool(9);
  std::vector<int64_t> slots(9, 0);
  int64_t expected = 0;
  for (int round = 1; round <= 2000; ++round) {
    pool.Run([&](int worker) { slots[worker] += round; });
    expected += round;
    if (round % 500 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // let the workers fall asleep
    ASSERT_THAT(slots, testing::Each(expected));
  }
}

TEST(ThreadPoolTest, ParallelForCoversEachIndexOnceInContiguousShares) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 2, 4, 5, 17}) {
      std::vector<int> hits(static_cast<size_t>(count), 0);
      pool.ParallelFor(count, [&](int64_t begin, int64_t end, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        EXPECT_LE(end - begin, (count + threads - 1) / threads);
        for (int64_t i = begin; i < end; ++i) ++hits[i];
      });
      EXPECT_THAT(hits, testing::Each(1));
    }
  }
}

TEST(ThreadPoolTest, AnExceptionOfAnyWorkerReachesTheCallerAndThePoolLivesOn) {
  ThreadPool pool(4);
  for (const int thrower : {0, 3}) {
    EXPECT_THROW(pool.Run([&](int worker) {
      if (worker == thrower) throw std::runtime_error("worker failed");
    }),
                 std::runtime_error);
  }
  int64_t done = 0;
  pool.ParallelFor(1, [&](int64_t, int64_t end, int) { done = end; });
  EXPECT_EQ(done, 1);
}

TEST(ThreadPoolTest, WorkersLogUnderTheRankOfTheirOwner) {
  core::SetLogRank(5);
  ThreadPool pool(2);
  core::SetLogRank(-1);
  int rank_of_worker = 0;
  const std::thread::id caller = std::this_thread::get_id();
  while (rank_of_worker == 0) {
    pool.Run([&](int worker) {
      if (worker == 1 && std::this_thread::get_id() != caller) rank_of_worker = core::LogRank();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
  }
  EXPECT_EQ(rank_of_worker, 5);
}

}  // namespace
}  // namespace autodist::device
