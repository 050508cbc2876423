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

// Of two ranks with one thread each, on a host of so many cores. Every rank gets the same rates.
spec::Cluster CalibrateTwoRanks(int cores) {
  const CalibrationEffort little{.bytes_per_host = 1,
                                 .layers = {.hidden = 128, .qkv = 192, .ffn = 512},
                                 .chunk = {.far = 64, .bytes = 1},
                                 .shortest_s = 0.001,
                                 .rounds = 3};
  std::mutex mutex;
  std::vector<spec::Cluster> results;
  comm::RunOnThreads(2, [&](comm::Communicator& world) {
    device::ThreadPool pool(1);
    device::Stream stream(pool, device::DetectIsa());
    const spec::Cluster cluster = Calibrate(world, stream, 1, cores, core::DType::kBF16, little);
    const std::lock_guard lock(mutex);
    results.push_back(cluster);
  });
  EXPECT_EQ(results.size(), 2u);
  EXPECT_EQ(spec::ToJson(results.at(0)), spec::ToJson(results.at(1)));
  return results[0];
}

// The rates are complete: the cost model takes them as they are.
TEST(CalibrationTest, TwoRanksMeasureTheirHost) {
  const spec::Cluster cluster = CalibrateTwoRanks(2);
  EXPECT_EQ(cluster.cores, 2);
  EXPECT_EQ(cluster.hosts, 1);
  const core::Json rates = spec::ToJson(cluster);
  for (const auto& [name, value] : rates.items()) {
    // One host: nothing joins two. Softmax may hide behind products, and ranks need not wait.
    if (name.starts_with("host_") || name.starts_with("wait_") ||
        name == "attention_scores_per_s" || name.ends_with("_extra_keys"))
      continue;
    if (name == "products") {
      EXPECT_EQ(value.size(), 10u);
    } else if (name == "collectives") {  // 64 bytes, and 1 KiB to 2 MiB
      EXPECT_EQ(value.size(), 28u);
    } else {
      EXPECT_GT(value.get<double>(), 0) << name;
    }
  }
  EXPECT_EQ(planner::CompleteCluster(cluster).read_bytes_per_s, cluster.read_bytes_per_s);
}

TEST(CalibrationTest, RanksThatTakeTurnsAgree) {
  const spec::Cluster cluster = CalibrateTwoRanks(1);
  EXPECT_EQ(cluster.cores, 1);
  for (const double fraction : {cluster.wait_fraction_one_row, cluster.wait_fraction_many_rows}) {
    EXPECT_TRUE(std::isfinite(fraction));
    EXPECT_GE(fraction, 0);
  }
}

}  // namespace
}  // namespace autodist::measure
