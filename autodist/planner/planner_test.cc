// Plans: what every rank holds, and which wishes are refused with which words.
#include "autodist/planner/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "autodist/planner/memory_model.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using spec::ParallelPlan;
using spec::RankPlan;
using spec::Slot;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using testing::ExampleModel;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Llama;
using ::testing::Not;
using testing::RefusalOf;
using ::testing::StartsWith;

constexpr spec::Mesh MeshOf(int tp, int pp) { return {.tp = tp, .pp = pp}; }

ParallelPlan Plan(const ExampleModel& model, const PlanRequest& request,
                  const spec::Cluster& cluster = {.cores = 4}) {
  return MakePlan(model.config, model.tensors, cluster, request);
}

std::vector<int64_t> StageSizes(const ParallelPlan& plan) {
  std::vector<int64_t> sizes;
  for (int stage = 0; stage < plan.mesh.pp; ++stage)
    sizes.push_back(plan.rank(plan.mesh.RankOf(stage, 0, 0)).layers.size());
  return sizes;
}

// How often each element of a tensor is held, by the ranks of one stage.
std::vector<int> Coverage(const ParallelPlan& plan, size_t tensor, int stage) {
  const spec::ModelTensor& shape = plan.tensors[tensor];
  std::vector<int> held(static_cast<size_t>(shape.rows * shape.cols), 0);
  for (const RankPlan& rank : plan.ranks)
    for (const spec::TensorShard& shard : rank.shards)
      if (rank.stage == stage && shard.tensor == static_cast<int>(tensor))
        for (int64_t row = shard.rows.first; row < shard.rows.last; ++row)
          for (int64_t col = shard.cols.first; col < shard.cols.last; ++col)
            ++held[static_cast<size_t>(row * shape.cols + col)];
  return held;
}

// For each mesh that fits: every element of every tensor lies on its stage; replicated ones on each
// tp rank, k and v on one or more, all others on exactly one. Odd sizes, a kv head for two query
// heads.
TEST(PlannerTest, EveryTensorIsAccountedFor) {
  for (const bool tied : {false, true}) {
    const ExampleModel model = Llama(5, 18, 6, 3, 4, 53, 67, tied, /*bias=*/true);
    for (int tp = 1; tp <= 6; ++tp) {
      for (int pp = 1; pp <= 5; ++pp) {
        SCOPED_TRACE(fmt::format("tp {} pp {} tied {}", tp, pp, tied));
        const ParallelPlan plan = Plan(model, {.mesh = MeshOf(tp, pp)});
        ASSERT_EQ(plan.ranks.size(), static_cast<size_t>(tp * pp));
        for (size_t i = 0; i < plan.tensors.size(); ++i) {
          const spec::ModelTensor& tensor = plan.tensors[i];
          const bool kv = tensor.id.slot == Slot::kK || tensor.id.slot == Slot::kV;
          const bool whole =
              tensor.role == spec::Role::kReplicated ||
              (tensor.role == spec::Role::kRow && tensor.vector);  // a bias added after the sum
          int stages = 0;
          for (int stage = 0; stage < pp; ++stage) {
            const std::vector<int> held = Coverage(plan, i, stage);
            const auto [least, most] = std::minmax_element(held.begin(), held.end());
            if (*most == 0) continue;
            ++stages;
            EXPECT_GE(*least, 1) << spec::ToString(tensor.id);
            if (kv) continue;
            EXPECT_EQ(*least, whole ? tp : 1) << spec::ToString(tensor.id);
            EXPECT_EQ(*most, *least) << spec::ToString(tensor.id);
          }
          const bool both_ends = tied && tensor.id.slot == Slot::kTokenEmbedding && pp > 1;
          EXPECT_EQ(stages, both_ends ? 2 : 1) << spec::ToString(tensor.id);
        }
      }
    }
  }
}

TEST(PlannerTest, OneRankReadsTheCheckpointOnce) {
  for (const bool tied : {false, true}) {
    const ExampleModel model = Llama(3, 32, 4, 2, 8, 48, 67, tied);
    uint64_t stored = 0;
    for (const spec::ModelTensor& tensor : model.tensors)
      stored += static_cast<uint64_t>(tensor.rows * tensor.cols) * 2;
    EXPECT_EQ(Plan(model, {}).rank(0).bytes.read, stored);
  }
}

TEST(PlannerTest, RanksKnowTheirPlace) {
  const ParallelPlan plan = Plan(Llama(4, 32, 4, 4, 8, 64, 128), {.mesh = MeshOf(2, 2)});
  const RankPlan& last = plan.rank(3);
  EXPECT_EQ(last.stage, 1);
  EXPECT_EQ(last.tp_index, 1);
  EXPECT_EQ(last.layers, (spec::Range{2, 4}));
  EXPECT_EQ(last.share.vocab, (spec::Range{64, 128}));
  EXPECT_EQ(plan.padded_vocab_size, 128);
  EXPECT_THAT(plan.notes, IsEmpty());  // nothing uneven, nothing replicated
}

TEST(PlannerTest, SizesOfTheRun) {
  const ExampleModel model = Llama(4, 32, 4, 4, 8, 64, 128);
  const ParallelPlan plain = Plan(model, {.mesh = MeshOf(1, 2), .batch_size = 5});
  EXPECT_EQ(plain.micro_batch_size, 3);  // ceil(batch / pp)
  EXPECT_EQ(plain.max_model_len, 4096);  // the model's context
  EXPECT_EQ(plain.prefill_chunk, 512);
  const ParallelPlan given =
      Plan(model, {.batch_size = 5, .micro_batch_size = 2, .max_model_len = 100});
  EXPECT_EQ(given.micro_batch_size, 2);
  EXPECT_EQ(given.max_model_len, 100);
  EXPECT_EQ(given.prefill_chunk, 512);  // whatever the mesh: prompts give the same bits
}

TEST(PlannerTest, StagesByBytesOrByLayout) {
  // The untied tables weigh as much as two layers each; of the first, a step reads a few rows.
  const ExampleModel model = Llama(16, 64, 4, 4, 16, 128, 1216);
  EXPECT_THAT(StageSizes(Plan(model, {.mesh = MeshOf(1, 4), .max_model_len = 64})),
              ElementsAre(5, 4, 4, 3));
  EXPECT_THAT(StageSizes(Plan(model, {.mesh = MeshOf(1, 4), .stage_layers = {1, 2, 3, 10}})),
              ElementsAre(1, 2, 3, 10));
  EXPECT_THAT(RefusalOf([&] {
                Plan(model, {.mesh = MeshOf(1, 4), .stage_layers = {4, 4, 4, 5}});
              }),
              AllOf(HasSubstr("4,4,4,5"), HasSubstr("4 stages"), HasSubstr("16 layers")));
}

// Stages that read alike may hold unlike amounts; memory comes first.
TEST(PlannerTest, StagesThatReadAlikeMustFit) {
  const ExampleModel model = Llama(16, 64, 4, 4, 16, 128, 1216);
  const PlanRequest request{.mesh = MeshOf(1, 2), .max_model_len = 64};
  const ParallelPlan roomy = Plan(model, request);
  EXPECT_THAT(StageSizes(roomy), ElementsAre(9, 7));
  const uint64_t too_small = roomy.rank(0).bytes.total() - 1;
  EXPECT_THAT(StageSizes(Plan(model, request, {.cores = 4, .rank_memory_bytes = {too_small}})),
              ElementsAre(8, 8));
}

TEST(PlannerTest, StagesByUnequalMemory) {
  const ExampleModel model = Llama(16, 256, 4, 4, 64, 1024, 64);
  const uint64_t gib = uint64_t{1} << 30;
  const ParallelPlan plan =
      Plan(model, {.mesh = MeshOf(1, 2)}, {.cores = 4, .rank_memory_bytes = {gib, 3 * gib}});
  // 4 and 12 but for the activations, which each stage needs whatever its layers.
  EXPECT_THAT(StageSizes(plan), ElementsAre(3, 13));
  EXPECT_THAT(RefusalOf([&] {
                Plan(model, {}, {.cores = 4, .rank_memory_bytes = {gib, gib}});
              }),
              HasSubstr("--rank-memory gives 2 sizes"));
  EXPECT_THAT(RefusalOf([&] { Plan(model, {}, {.cores = 4, .rank_memory_bytes = {0}}); }),
              HasSubstr("--rank-memory holds a size of 0"));
  const ParallelPlan tp =
      Plan(model, {.mesh = MeshOf(2, 1)}, {.cores = 4, .rank_memory_bytes = {gib, 3 * gib}});
  EXPECT_THAT(tp.notes, ElementsAre(HasSubstr("unequal memory")));
}

TEST(PlannerTest, NotesSayWhatIsNotPlain) {
  const ParallelPlan plan =
      Plan(Llama(5, 64, 14, 2, 8, 172, 131, /*tied=*/true), {.mesh = MeshOf(4, 2)});
  EXPECT_THAT(plan.notes,
              ElementsAre(HasSubstr("14 query heads over tp 4: 4 4 3 3"),
                          HasSubstr("tp 4 ranks hold 5 for the model's 2"),
                          HasSubstr("172 is cut unevenly, in multiples of 2: 42 42 44 44"),
                          HasSubstr("131 is padded to 144"), HasSubstr("5 layers as 3 2"),
                          HasSubstr("tied")));
}

TEST(PlannerTest, RefusesMeshesThatCannotCutTheModel) {
  const ExampleModel model = Llama(4, 32, 4, 2, 8, 64, 128);
  const auto refusal = [&](const PlanRequest& request) {
    return RefusalOf([&] { Plan(model, request); });
  };
  EXPECT_THAT(refusal({.mesh = MeshOf(5, 1)}),
              AllOf(HasSubstr("tensor_parallel_size 5"), HasSubstr("1, 2, 4 (evenly)")));
  EXPECT_THAT(refusal({.mesh = MeshOf(1, 5)}),
              AllOf(HasSubstr("pipeline_parallel_size 5"), HasSubstr("4 layers"),
                    HasSubstr("sizes that work: 1 to 4")));
  EXPECT_THAT(refusal({.mesh = MeshOf(0, 1)}),
              HasSubstr("tensor_parallel_size is 0, must be at least 1"));
  EXPECT_THAT(refusal({.mesh = {.dp = 2}}), HasSubstr("data_parallel_size is 2, must be 1"));
  EXPECT_THAT(refusal({.ranks = 11}), AllOf(HasSubstr("--ranks 11"), HasSubstr("1 to 4")));
  EXPECT_THAT(refusal({.ranks = -1}), HasSubstr("--ranks is -1"));
  EXPECT_THAT(refusal({.batch_size = 0}), HasSubstr("batch size is 0"));
  EXPECT_THAT(refusal({.micro_batch_size = -1}), HasSubstr("--micro-batch-size is -1"));
  EXPECT_THAT(
      refusal({.batch_size = 4, .micro_batch_size = 5}),
      HasSubstr("--micro-batch-size is 5, must be at least 1 and at most 4, the batch size"));
  EXPECT_THAT(refusal({.max_model_len = 4097}),
              HasSubstr("--max-model-len is 4097, must be at least 1 and at most 4096"));
}

// What is needed for what, what there is, and what would fit.
TEST(PlannerTest, RefusesWhatDoesNotFitMemory) {
  const ExampleModel model = Llama(8, 512, 8, 8, 64, 2048, 1024);
  const PlanRequest request{.batch_size = 4, .max_model_len = 4096};
  const uint64_t needed = Plan(model, request).rank(0).bytes.total();
  EXPECT_NO_THROW(Plan(model, request, {.cores = 4, .rank_memory_bytes = {needed}}));
  const spec::Cluster small{.cores = 4, .rank_memory_bytes = {needed - (1 << 20)}};
  const std::string message = RefusalOf([&] { Plan(model, request, small); });
  EXPECT_THAT(message,
              AllOf(StartsWith("rank 0 of tp 1 x pp 1 needs"), HasSubstr("weights"),
                    HasSubstr("KV cache 512 MiB for 4 x 4096 positions"), HasSubstr("activations"),
                    HasSubstr("buffers"), HasSubstr(": 511 MiB are left for the KV cache; "),
                    HasSubstr("the largest --max-model-len that fits is 4032")));
  EXPECT_THAT(message, HasSubstr("2 ranks with as much memory each would do"));
  // The advice is true.
  PlanRequest shorter = request;
  shorter.max_model_len = 4032;
  EXPECT_NO_THROW(Plan(model, shorter, small));
  PlanRequest wider = request;
  wider.ranks = 2;
  EXPECT_NO_THROW(Plan(model, wider, small));

  const spec::Cluster tiny{.cores = 4, .rank_memory_bytes = {1 << 20}};
  EXPECT_THAT(
      RefusalOf([&] { Plan(model, request, tiny); }),
      AllOf(HasSubstr("the weights alone do not fit"), HasSubstr("no context length fits")));
}

TEST(PlannerTest, RanksChooseTheFastestMeshThatFits) {
  const ExampleModel model = Llama(8, 512, 8, 8, 64, 2048, 1024);
  const spec::Cluster fast_links{.cores = 4,
                                 .read_bytes_per_s = 1e10,
                                 .flops_per_s = 1e11,
                                 .link_latency_s = 1e-9,
                                 .link_bytes_per_s = 1e12};
  const ParallelPlan tp = Plan(model, {.ranks = 4}, fast_links);
  EXPECT_EQ(tp.mesh, MeshOf(4, 1));
  EXPECT_THAT(tp.reasons, ElementsAre(StartsWith("chosen of 3 meshes for 4 ranks: tp 4 x pp 1"),
                                      StartsWith("runner-up: tp 2 x pp 2"),
                                      StartsWith("predictions: 1 sequence")));

  spec::Cluster slow_links = fast_links;
  slow_links.link_latency_s = 0.1;
  EXPECT_EQ(Plan(model, {.ranks = 4, .batch_size = 8}, slow_links).mesh, MeshOf(1, 4));

  // A layout fixes pp.
  EXPECT_EQ(Plan(model, {.ranks = 4, .stage_layers = {5, 3}}, fast_links).mesh, MeshOf(2, 2));
}

TEST(PlannerTest, AGivenMeshIsComparedToo) {
  const ParallelPlan plan = Plan(Llama(8, 512, 8, 8, 64, 2048, 1024), {.mesh = MeshOf(2, 2)});
  EXPECT_THAT(plan.reasons,
              ElementsAre(StartsWith("as asked: tp 2 x pp 2"), StartsWith("the best other mesh"),
                          StartsWith("predictions:"), HasSubstr("was not measured")));
}

TEST(PlannerTest, AnyNumberOfRanksIsAnsweredOrRefused) {
  const ExampleModel model = Llama(8, 64, 8, 8, 8, 128, 100);
  EXPECT_EQ(Plan(model, {.ranks = 1}).mesh.world(), 1);
  EXPECT_EQ(Plan(model, {.ranks = 7}).mesh.world(), 7);
  EXPECT_EQ(Plan(model, {.ranks = 64}).mesh, MeshOf(8, 8));
  EXPECT_THAT(RefusalOf([&] { Plan(model, {.ranks = 1024}); }), HasSubstr("--ranks 1024"));
}

// The seeds' checks of the world, with their wording.
TEST(PlannerTest, CheckWorld) {
  EXPECT_NO_THROW(CheckWorld(MeshOf(2, 2), 4, "WORLD_SIZE", 3));
  const auto refusal = [](const spec::Mesh& mesh, int world, std::optional<int> local) {
    return RefusalOf([&] { CheckWorld(mesh, world, "WORLD_SIZE", local); });
  };
  EXPECT_THAT(
      refusal(MeshOf(4, 1), 2, 0),
      HasSubstr("tensor_parallel_size 4 must be less than or equal to world_size 2 (WORLD_SIZE)"));
  EXPECT_THAT(refusal(MeshOf(1, 4), 2, 0),
              HasSubstr("pipeline_parallel_size 4 must be less than or equal"));
  EXPECT_THAT(refusal(MeshOf(2, 2), 5, 0),
              HasSubstr("world_size 5 (WORLD_SIZE) must be equal to tensor_parallel_size 2 * "
                        "pipeline_parallel_size 2 = 4"));
  EXPECT_THAT(refusal(MeshOf(2, 2), 4, 4),
              HasSubstr("local_rank 4 must be at least 0 and less than parallel_size"));
  EXPECT_THAT(refusal(MeshOf(2, 1), 0, 0), HasSubstr("WORLD_SIZE is 0"));
}

}  // namespace
}  // namespace autodist::planner
