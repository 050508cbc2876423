#include "autodist/kernels/task_queue.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace autodist::kernels {
namespace {

using Calls = std::vector<std::pair<size_t, size_t>>;  // (task, next)

TEST(TaskQueueTest, OneThreadGetsAllTasksAndKnowsTheNext) {
  TaskQueue queue(3, 1);
  Calls calls;
  queue.Work([&](size_t task, size_t next) { calls.emplace_back(task, next); });
  EXPECT_EQ(calls, (Calls{{0, 1}, {1, 2}, {2, 3}}));
}

// Two heads of keys on two threads were once both done by the first.
TEST(TaskQueueTest, TwoTasksAreForTwoThreads) {
  TaskQueue queue(2, 2);
  Calls first, second;
  queue.Work([&](size_t task, size_t next) {
    first.emplace_back(task, next);
    // The other thread comes while the first is at work.
    queue.Work([&](size_t t, size_t n) { second.emplace_back(t, n); });
  });
  EXPECT_EQ(first, (Calls{{0, 2}}));
  EXPECT_EQ(second, (Calls{{1, 2}}));
}

TEST(TaskQueueTest, NobodyHoldsATaskBackWhileAnotherHasNone) {
  for (size_t tasks = 1; tasks <= 9; ++tasks) {
    for (int threads = 1; threads <= 4; ++threads) {
      TaskQueue queue(tasks, threads);
      std::vector<int> runs(tasks, 0);
      size_t begun = 0;
      queue.Work([&](size_t task, size_t next) {
        ++runs[task];
        ++begun;
        if (next < tasks) {
          // With this one taken there was one for each of the others.
          EXPECT_GE(tasks - begun, static_cast<size_t>(threads)) << tasks << " " << threads;
        }
      });
      EXPECT_EQ(runs, std::vector<int>(tasks, 1));
    }
  }
}

}  // namespace
}  // namespace autodist::kernels
