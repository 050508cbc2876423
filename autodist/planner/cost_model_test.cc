#include "autodist/planner/cost_model.h"

#include <gtest/gtest.h>

#include "autodist/planner/rates.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

const testing::ExampleModel kModel = testing::Llama(8, 256, 8, 8, 32, 1024, 4096);

// Reads decide, computing and links are free.
spec::Cluster MemoryBound() {
  return {.cores = 8,
          .read_bytes_per_s = 1e9,
          .flops_per_s = 1e18,
          .link_latency_s = 1e-12,
          .link_bytes_per_s = 1e15};
}

Prediction PredictOn(const spec::Mesh& mesh, const spec::Cluster& cluster, int64_t batch = 1) {
  const PlanRequest request{.batch_size = batch, .max_model_len = 128};
  return Predict(kModel.config, MakeOutline(kModel.config, cluster, request, mesh),
                 CompleteCluster(cluster));
}

// One token reads every weight but the embedding, and the cache: three quarters full on average,
// as half is the prompt.
TEST(CostModelTest, DecodeOnOneRankIsBytesOverBandwidth) {
  const spec::TpShare share = PartitionModel(kModel.config, 1).shares[0];
  const double weights =
      8.0 * static_cast<double>(LayerWeightBytes(kModel.config, share, core::WeightFormat::kF32)) +
      static_cast<double>(VocabTableBytes(kModel.config, share, core::WeightFormat::kF32));
  const double cache = 2.0 * 8 * 8 * 32 * 96 * 4;
  const Prediction prediction = PredictOn({}, MemoryBound());
  EXPECT_NEAR(prediction.decode_tokens_per_s, 1e9 / (weights + cache),
              1e-6 * prediction.decode_tokens_per_s);
  EXPECT_NEAR(prediction.decode_s, 64.0 / prediction.decode_tokens_per_s, 1e-9);
}

TEST(CostModelTest, ThePromptIsHalfUnlessItIsGiven) {
  const PlanRequest request{.max_model_len = 128, .prompt_length = 120};
  const spec::Cluster cluster = CompleteCluster(MemoryBound());
  const Prediction given =
      Predict(kModel.config, MakeOutline(kModel.config, cluster, request, {}), cluster);
  EXPECT_NEAR(given.decode_s, 8.0 / given.decode_tokens_per_s, 1e-9);
  EXPECT_LT(given.decode_tokens_per_s, PredictOn({}, MemoryBound()).decode_tokens_per_s);
}

// A second pipeline stage does not help one sequence, and needs one more in flight to keep both
// stages busy.
TEST(CostModelTest, PipelineNeedsSequencesInFlight) {
  spec::Cluster host = MemoryBound();
  host.cores = 2;
  const double one_rank = PredictOn({}, host).decode_tokens_per_s;
  const double half_speed = PredictOn({.pp = 2}, host, 1).decode_tokens_per_s;
  const double both_busy = PredictOn({.pp = 2}, host, 2).decode_tokens_per_s;
  EXPECT_NEAR(half_speed / one_rank, 0.5, 0.02);  // each stage owns one of the two cores
  EXPECT_GT(both_busy, 1.7 * half_speed);
}

// Many rows of a layer's sums are shared: the ranks meet twice for each of the 16, once for the
// embedding and twice for the choice of the token. Waiting counts as communication.
TEST(CostModelTest, TensorParallelPromptsMeetTwiceAndWait) {
  spec::Cluster host = MemoryBound();
  const double fast = PredictOn({.tp = 2}, host).prefill_s;
  host.link_latency_s = 0.01;
  EXPECT_NEAR(PredictOn({.tp = 2}, host).prefill_s - fast, (2 * 16 + 1 + 2) * 0.01, 1e-6);
  host = MemoryBound();
  host.wait_fraction_one_row = host.wait_fraction_many_rows = 0.25;
  const Prediction waiting = PredictOn({.tp = 2}, host);
  EXPECT_NEAR(waiting.prefill_s, 1.25 * fast, 1e-6 * fast);
  EXPECT_NEAR(waiting.prefill_communication, 0.2, 1e-6);
  host.wait_s = 0.01;  // and with each meeting
  EXPECT_NEAR(PredictOn({.tp = 2}, host).prefill_s - waiting.prefill_s, 16 * 0.01, 1e-6);
  EXPECT_EQ(PredictOn({}, host).prefill_communication, 0.0);
}

// A call that is alone in the pipeline has only the bubble, the other stage's time. With several,
// the slowest stage, here the second with the head, waits for the first when that is late by more
// than it is faster: the less often, the faster it is.
TEST(CostModelTest, PipelinesWaitWhenSeveralCallsAreInFlight) {
  spec::Cluster host = MemoryBound();
  host.cores = 2;
  const Prediction lone = PredictOn({.pp = 2}, host, 1), two = PredictOn({.pp = 2}, host, 2);
  EXPECT_NEAR(lone.decode_communication, 0.5, 0.1);
  const double idle = two.decode_communication;  // of the first stage
  EXPECT_GT(idle, 0.05);
  const auto longer = [&](double fraction) {
    host.wait_fraction_one_row = host.wait_fraction_many_rows = fraction;
    EXPECT_EQ(PredictOn({.pp = 2}, host, 1).decode_s, lone.decode_s);
    return PredictOn({.pp = 2}, host, 2).decode_s / two.decode_s - 1.0;
  };
  EXPECT_EQ(longer(0.0), 0.0);
  // Faster by one deviation of the difference: waits of 0.0833 deviations (tables of the normal
  // loss function), where they would be 0.3989 if it were as fast.
  EXPECT_NEAR(longer(0.3989423 * idle / (1 - idle)), 0.0833155 * idle, 1e-6);
  EXPECT_LT(longer(0.1 * idle), 1e-6);
  EXPECT_GT(longer(10.0), 10.0 * (1 - idle) - 0.5 * idle);
}

TEST(CostModelTest, SlowLinksFavourThePipeline) {
  spec::Cluster host = MemoryBound();
  host.cores = 2;
  EXPECT_LT(PredictOn({.tp = 2}, host, 2).decode_s, PredictOn({.pp = 2}, host, 2).decode_s);
  host.link_latency_s = 0.01;
  EXPECT_GT(PredictOn({.tp = 2}, host, 2).decode_s, PredictOn({.pp = 2}, host, 2).decode_s);
}

// Two hosts of one core each: what joins the ranks is the link between the hosts, and each rank has
// its host's memory for itself.
TEST(CostModelTest, RanksOnTwoHostsUseTheLinkBetweenThem) {
  spec::Cluster hosts = MemoryBound();
  hosts.cores = 1;
  hosts.hosts = 2;
  hosts.host_link_latency_s = 1e-12;
  hosts.host_link_bytes_per_s = 1e15;
  const double one_rank = PredictOn({}, hosts).decode_s;
  const double fast = PredictOn({.tp = 2}, hosts).decode_s;
  EXPECT_LT(fast, one_rank / 1.9);
  hosts.host_link_latency_s = 0.01;
  const Prediction slow = PredictOn({.tp = 2}, hosts);
  // 17 all-reduces of 8 layers and the embedding, and two meetings for the choice of the token.
  EXPECT_NEAR((slow.decode_s - fast) / 64.0, 19 * 0.01, 1e-6);
  EXPECT_NEAR(slow.decode_communication, 1.0 - fast / slow.decode_s, 1e-6);
  // Four ranks: those of a tp group share a host.
  EXPECT_LT(PredictOn({.tp = 2, .pp = 2}, hosts).decode_s, PredictOn({.tp = 4}, hosts).decode_s);
}

// What one core reads alone bounds a stage that works while the other waits for it.
TEST(CostModelTest, AStageAloneReadsAtTheRateOfItsCore) {
  spec::Cluster host = MemoryBound();
  host.cores = 2;
  const double half = PredictOn({.pp = 2}, host).decode_s;
  host.core_read_bytes_per_s = 0.9 * host.read_bytes_per_s;
  EXPECT_NEAR(half / PredictOn({.pp = 2}, host).decode_s, 1.8, 0.01);
}

}  // namespace
}  // namespace autodist::planner
