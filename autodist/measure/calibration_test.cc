#include "autodist/measure/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <vector>

#include "autodist/comm/testing.h"
#include "autodist/device/thread_pool.h"
#include "autodist/planner/rates.h"

namespace autodist::measure {
namespace {

// On one thread of a rank.
spec::Cluster CalibrateALittle(comm::Communicator& world, int cores) {
  device::ThreadPool pool(1);
  device::Stream stream(pool, device::DetectIsa());
  const CalibrationEffort little{.bytes_per_host = 1,
                                 .layers = {.hidden = 128, .qkv = 192, .ffn = 512},
                                 .chunk = {.far = 64, .bytes = 1},
                                 .shortest_s = 0.001,
                                 .rounds = 3};
  return Calibrate(world, stream, 1, cores, core::DType::kBF16, little);
}

// Every rank gets the same rates, and they are complete: the cost model takes them as they are.
TEST(CalibrationTest, TwoRanksMeasureTheirHost) {
  std::mutex mutex;
  std::vector<spec::Cluster> results;
  comm::RunOnThreads(2, [&](comm::Communicator& world) {
    const spec::Cluster cluster = CalibrateALittle(world, 2);
    const std::lock_guard lock(mutex);
    results.push_back(cluster);
  });
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(spec::ToJson(results[0]), spec::ToJson(results[1]));
  EXPECT_EQ(results[0].cores, 2);
  EXPECT_EQ(results[0].hosts, 1);
  const core::Json rates = spec::ToJson(results[0]);
  for (const auto& [name, value] : rates.items()) {
    // One host: nothing joins two. Softmax may hide behind products, and ranks need not wait.
    if (name.starts_with("host_") || name.starts_with("wait_") ||
        name == "attention_scores_per_s" || name.ends_with("_extra_keys"))
      continue;
    if (name == "products") {
      EXPECT_EQ(value.size(), 10u);
    } else {
      EXPECT_GT(value.get<double>(), 0) << name;
    }
  }
  EXPECT_EQ(planner::CompleteCluster(results[0]).read_bytes_per_s, results[0].read_bytes_per_s);
}

// Two ranks on what is said to be one core.
TEST(CalibrationTest, RanksThatTakeTurnsAgree) {
  std::mutex mutex;
  std::vector<spec::Cluster> results;
  comm::RunOnThreads(2, [&](comm::Communicator& world) {
    const spec::Cluster cluster = CalibrateALittle(world, 1);
    const std::lock_guard lock(mutex);
    results.push_back(cluster);
  });
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(spec::ToJson(results[0]), spec::ToJson(results[1]));
  EXPECT_EQ(results[0].cores, 1);
  for (const double fraction :
       {results[0].wait_fraction_one_row, results[0].wait_fraction_many_rows}) {
    EXPECT_TRUE(std::isfinite(fraction));
    EXPECT_GE(fraction, 0);
  }
}

}  // namespace
}  // namespace autodist::measure
