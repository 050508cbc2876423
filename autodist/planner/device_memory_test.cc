#include "autodist/planner/device_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "autodist/planner/planner.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::ExampleModel;
using ::testing::HasSubstr;
using testing::Llama;
using testing::RefusalOf;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

TEST(DeviceMemoryTest, WhatUtilizationWorkspaceAndGraphsLeave) {
  const DeviceBudget empty{"cuda:0", 80 * kGiB, 80 * kGiB};
  EXPECT_THAT(PlannableBytes({empty}, {.memory_utilization = 0.5}), ElementsAre(40 * kGiB));
  EXPECT_THAT(PlannableBytes({empty}, {.memory_utilization = 0.5,
                                       .workspace_bytes = 3 * kGiB,
                                       .graph_bytes = 2 * kGiB}),
              ElementsAre(35 * kGiB));
  // What others use counts against the part that may be in use.
  const DeviceBudget shared{"cuda:0", 80 * kGiB, 50 * kGiB};
  EXPECT_THAT(PlannableBytes({shared}, {.memory_utilization = 0.5}), ElementsAre(10 * kGiB));
  EXPECT_THAT(PlannableBytes({shared}, {.memory_utilization = 1}), ElementsAre(50 * kGiB));
}

TEST(DeviceMemoryTest, DevicesOfAKindAreOneSizeOthersAreNot) {
  const DeviceBudget a{"cuda:0", 64 * kGiB, 64 * kGiB};
  const DeviceBudget almost{"cuda:1", 64 * kGiB, 64 * kGiB - 300 * kMiB};
  const DeviceBudget half{"cuda:2", 32 * kGiB, 32 * kGiB};
  EXPECT_THAT(PlannableBytes({a, almost, a}, {.memory_utilization = 1}),
              ElementsAre(almost.free_bytes));
  EXPECT_THAT(PlannableBytes({a, half}, {.memory_utilization = 1}),
              ElementsAre(64 * kGiB, 32 * kGiB));
}

TEST(DeviceMemoryTest, RefusalsNameTheDeviceAndThePart) {
  const DeviceBudget busy{"cuda:3 (NVIDIA H200)", 100 * kGiB, 10 * kGiB};
  EXPECT_EQ(RefusalOf([&] { PlannableBytes({busy}, {}); }),
            "cuda:3 (NVIDIA H200): 90.0 GiB of 100 GiB are in use by others, and "
            "--memory-utilization 0.9 allows 90.0 GiB in all");
  EXPECT_THAT(RefusalOf([&] {
                PlannableBytes({busy}, {.memory_utilization = 1, .workspace_bytes = 20 * kGiB});
              }),
              AllOf(HasSubstr("cuda:3 (NVIDIA H200): the workspace takes 20.0 GiB"),
                    HasSubstr("10.0 GiB are left")));
  EXPECT_THAT(
      RefusalOf([&] {
        PlannableBytes(
            {busy},
            {.memory_utilization = 1, .workspace_bytes = 9 * kGiB, .graph_bytes = 2 * kGiB});
      }),
      AllOf(HasSubstr("the memory for graphs takes 2.00 GiB"), HasSubstr("1.00 GiB are left")));
  for (const double utilization : {0.0, -1.0, 1.5, std::nan("")})
    EXPECT_THAT(RefusalOf([&] { PlannableBytes({busy}, {.memory_utilization = utilization}); }),
                HasSubstr("--memory-utilization is"));
}

// Two stages on GPUs of 4 and 12 GiB: layers by the bytes that are left on each, and what is too
// much for both is refused by part, with the context that would fit.
TEST(DeviceMemoryTest, StagesGoByTheFreeBytesOfEachDevice) {
  const ExampleModel model = Llama(32, 2048, 16, 16, 128, 8192, 1024);
  const std::vector<uint64_t> memory =
      PlannableBytes({{"cuda:0", 4 * kGiB, 4 * kGiB}, {"cuda:1", 12 * kGiB, 12 * kGiB}},
                     {.memory_utilization = 0.9, .workspace_bytes = 256 * kMiB});
  PlanRequest request{.mesh = {.tp = 1, .pp = 2}, .max_model_len = 1024};
  const spec::Cluster cluster{.cores = 4, .rank_memory_bytes = memory};
  const spec::ParallelPlan plan = MakePlan(model.config, model.tensors, cluster, request);
  EXPECT_LT(plan.rank(0).layers.size(), 10);
  for (size_t rank = 0; rank < 2; ++rank) EXPECT_LE(plan.ranks[rank].bytes.total(), memory[rank]);
  EXPECT_THAT(plan.reasons,
              Contains(HasSubstr("the memory holds 1 sequence of up to 4096 positions each")));

  request.batch_size = 64;
  request.max_model_len = 4096;
  EXPECT_THAT(RefusalOf([&] { MakePlan(model.config, model.tensors, cluster, request); }),
              AllOf(HasSubstr("are left for the KV cache"),
                    HasSubstr("the largest --max-model-len that fits is ")));
}

}  // namespace
}  // namespace autodist::planner
