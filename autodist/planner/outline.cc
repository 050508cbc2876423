#include "autodist/planner/outline.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/planner/stages.h"

namespace autodist::planner {
namespace {

RunShape ShapeOf(const spec::ModelConfig& config, const PlanRequest& request, int pp) {
  RunShape shape;
  shape.compute_dtype = request.compute_dtype;
  shape.quantisation = request.quantisation;
  shape.batch_size = request.batch_size;
  shape.micro_batch_size = request.micro_batch_size;
  if (shape.micro_batch_size == 0) shape.micro_batch_size = (request.batch_size + pp - 1) / pp;
  shape.max_model_len = request.max_model_len == 0 ? config.context_length : request.max_model_len;
  shape.prompt_length = request.prompt_length > 0 ? request.prompt_length
                                                  : std::max<int64_t>(1, shape.max_model_len / 2);
  shape.prefill_chunk = kPrefillChunk;
  return shape;
}

// A rank's bytes are affine in its layer count; base and slope are computed once because balancing
// asks for every range.
struct Affine {
  double base = 0.0;
  double per_layer = 0.0;

  double At(spec::Range layers) const {
    return base + per_layer * static_cast<double>(layers.size());
  }
};

template <typename Bytes>
Affine AffineOf(RankPart part, const Bytes& bytes_of) {
  part.layers = {};
  const auto base = static_cast<double>(bytes_of(part));
  part.layers = {0, 1};
  return {base, static_cast<double>(bytes_of(part)) - base};
}

// The load of a stage. Where ranks have equal memory: what a step reads on its busiest rank, since
// that is how long a decode step takes. Where they differ, somebody counts on the largest model
// that fits: the fraction of the fullest rank's memory. Stages that do not fit weigh by that
// fraction, and more than any that do.
StageLoad LoadOfStages(const spec::ModelConfig& config, const spec::Cluster& cluster,
                       const Outline& outline) {
  struct RankLoad {
    Affine held;
    Affine read;
    double memory;  // 0: unknown
  };
  const bool unequal = cluster.rank_memory_bytes.size() > 1;
  std::vector<std::vector<RankLoad>> stages(static_cast<size_t>(outline.mesh.pp));
  for (int rank = 0; rank < outline.mesh.world(); ++rank) {
    const int stage = outline.mesh.StageOf(rank);
    const RankPart part{
        .share = outline.partition.shares[static_cast<size_t>(outline.mesh.TpIndex(rank))],
        .layers = {},
        .first_stage = stage == 0,
        .last_stage = stage + 1 == outline.mesh.pp,
        .tp_peers = outline.mesh.tp > 1};
    const auto held = [&](const RankPart& with) {
      return EstimateRank(config, with, outline.shape).total();
    };
    const auto read = [&](const RankPart& with) {
      return StepReadBytes(config, with, outline.shape);
    };
    stages[static_cast<size_t>(stage)].push_back({AffineOf(part, held), AffineOf(part, read),
                                                  static_cast<double>(RankMemory(cluster, rank))});
  }
  return [unequal, stages = std::move(stages)](int stage, spec::Range layers) {
    constexpr double kOverfull = 1e18;  // above any number of bytes read
    double load = 0.0;
    for (const RankLoad& rank : stages[static_cast<size_t>(stage)]) {
      const double fill = rank.memory == 0.0 ? 0.0 : rank.held.At(layers) / rank.memory;
      const double fitting = unequal ? fill : rank.read.At(layers);
      load = std::max(load, fill > 1.0 ? kOverfull * fill : fitting);
    }
    return load;
  };
}

}  // namespace

RankPart Outline::PartOf(int rank) const {
  const int stage = mesh.StageOf(rank);
  return {.share = partition.shares[static_cast<size_t>(mesh.TpIndex(rank))],
          .layers = stage_layers[static_cast<size_t>(stage)],
          .first_stage = stage == 0,
          .last_stage = stage + 1 == mesh.pp,
          .tp_peers = mesh.tp > 1};
}

Outline MakeOutline(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request, const spec::Mesh& mesh) {
  if (mesh.pp < 1 || mesh.pp > config.num_layers)
    throw core::BadInput(
        "pipeline_parallel_size {} cannot cut this model: its {} layers must be at least as many "
        "as the "
        "stages; sizes that work: 1 to {}",
        mesh.pp, config.num_layers, config.num_layers);
  Outline outline;
  outline.mesh = mesh;
  outline.shape = ShapeOf(config, request, mesh.pp);
  outline.partition = PartitionModel(config, mesh.tp);
  if (std::count(cluster.rank_memory_bytes.begin(), cluster.rank_memory_bytes.end(), uint64_t{0}) >
      0)
    throw core::BadInput("--rank-memory holds a size of 0, must be at least 1 byte");
  const size_t memories = cluster.rank_memory_bytes.size();
  if (memories > 1 && memories != static_cast<size_t>(mesh.world()))
    throw core::BadInput(
        "--rank-memory gives {} sizes, must be one for all or one for each of the {} ranks",
        memories, mesh.world());
  outline.stage_layers =
      request.stage_layers.empty()
          ? BalanceStages(config.num_layers, mesh.pp, LoadOfStages(config, cluster, outline))
          : StagesFromLayout(config.num_layers, mesh.pp, request.stage_layers);
  for (int rank = 0; rank < mesh.world(); ++rank)
    outline.bytes.push_back(EstimateRank(config, outline.PartOf(rank), outline.shape));
  return outline;
}

uint64_t RankMemory(const spec::Cluster& cluster, int rank) {
  const std::vector<uint64_t>& memory = cluster.rank_memory_bytes;
  if (memory.empty()) return 0;
  return memory.size() == 1 ? memory[0] : memory[static_cast<size_t>(rank)];
}

int FirstOverfullRank(const Outline& outline, const spec::Cluster& cluster) {
  for (int rank = 0; rank < outline.mesh.world(); ++rank) {
    const uint64_t memory = RankMemory(cluster, rank);
    if (memory != 0 && outline.bytes[static_cast<size_t>(rank)].total() > memory) return rank;
  }
  return -1;
}

int64_t LargestContextThatFits(const spec::ModelConfig& config, const Outline& outline,
                               const spec::Cluster& cluster, int64_t limit) {
  const auto fits = [&](int64_t length) {
    RunShape shape = outline.shape;
    shape.max_model_len = length;
    for (int rank = 0; rank < outline.mesh.world(); ++rank) {
      const uint64_t memory = RankMemory(cluster, rank);
      if (memory != 0 && EstimateRank(config, outline.PartOf(rank), shape).total() > memory)
        return false;
    }
    return true;
  };
  int64_t good = 0;
  int64_t bad = limit + 1;
  while (bad - good > 1) {
    const int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace autodist::planner
