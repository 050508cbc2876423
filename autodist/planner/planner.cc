#include "autodist/planner/planner.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/planner/mesh_search.h"
#include "autodist/planner/notes.h"
#include "autodist/planner/outline.h"
#include "autodist/planner/rates.h"

namespace autodist::planner {
namespace {

using spec::Range;
using spec::Role;
using spec::Slot;

constexpr int64_t kMaxBatch = 1 << 20;

void CheckMesh(const spec::Mesh& mesh) {
  for (const auto& [name, size] : {std::pair{"tensor_parallel_size", mesh.tp},
                                   {"pipeline_parallel_size", mesh.pp},
                                   {"data_parallel_size", mesh.dp}})
    if (size < 1 || size > kMaxRanks)
      throw core::BadInput("{} is {}, must be at least 1 and at most {}", name, size, kMaxRanks);
  if (mesh.dp != 1)
    throw core::BadInput(
        "data_parallel_size is {}, must be 1: generation runs on one tp x pp mesh; start one "
        "program "
        "per replica",
        mesh.dp);
  if (int64_t{mesh.tp} * mesh.pp > kMaxRanks)
    throw core::BadInput(
        "tensor_parallel_size {} * pipeline_parallel_size {} is {} ranks, must be at most {}",
        mesh.tp, mesh.pp, int64_t{mesh.tp} * mesh.pp, kMaxRanks);
}

void CheckRange(std::string_view name, int64_t value, int64_t min, int64_t max) {
  if (value < min || value > max)
    throw core::BadInput("{} is {}, must be at least {} and at most {}", name, value, min, max);
}

void CheckRequest(const spec::ModelConfig& config, const PlanRequest& request) {
  if (request.ranks != 0) {
    CheckRange("--ranks", request.ranks, 1, kMaxRanks);
  } else {
    CheckMesh(request.mesh);
  }
  AUTODIST_CHECK(request.compute_dtype == core::DType::kF32 ||
                 request.compute_dtype == core::DType::kBF16);
  AUTODIST_CHECK(!request.quantisation || core::IsQuantised(*request.quantisation));
  CheckRange("the batch size", request.batch_size, 1, kMaxBatch);
  if (request.micro_batch_size < 0 || request.micro_batch_size > request.batch_size)
    throw core::BadInput(
        "--micro-batch-size is {}, must be at least 1 and at most {}, the batch size",
        request.micro_batch_size, request.batch_size);
  if (request.max_model_len < 0 || request.max_model_len > config.context_length)
    throw core::BadInput(
        "--max-model-len is {}, must be at least 1 and at most {}, the context of the model",
        request.max_model_len, config.context_length);
  const int64_t longest = request.max_model_len > 0 ? request.max_model_len : config.context_length;
  if (request.prompt_length < 0 || request.prompt_length > longest)
    throw core::BadInput("--prompt-length is {}, must be at least 1 and at most {} positions",
                         request.prompt_length, longest);
}

// The rectangle of `tensor` that a rank with `share` holds.
spec::TensorShard ShardOf(const spec::ModelConfig& config, const spec::ModelTensor& tensor,
                          int index, const spec::TpShare& share) {
  const auto heads = [&](Range range) {
    return Range{range.first * config.head_dim, range.last * config.head_dim};
  };
  spec::TensorShard shard{index, {0, tensor.rows}, {0, tensor.cols}};
  switch (tensor.role) {
    case Role::kReplicated:
      break;
    case Role::kVocab:
      shard.rows = share.vocab;
      break;
    case Role::kColumn:
      if (tensor.id.slot == Slot::kQ) {
        shard.rows = heads(share.q_heads);
      } else if (tensor.id.slot == Slot::kK || tensor.id.slot == Slot::kV) {
        shard.rows = heads(share.kv_heads);
      } else {
        shard.rows = share.ffn;
      }
      break;
    case Role::kRow:
      if (!tensor.vector)
        shard.cols = tensor.id.slot == Slot::kAttentionOutput ? heads(share.q_heads) : share.ffn;
      break;
  }
  AUTODIST_CHECK_LE(shard.rows.last, tensor.rows);
  AUTODIST_CHECK_LE(shard.cols.last, tensor.cols);
  return shard;
}

bool Holds(const spec::ModelConfig& config, const RankPart& part, const spec::TensorId& id) {
  if (id.layer >= 0) return id.layer >= part.layers.first && id.layer < part.layers.last;
  switch (id.slot) {
    case Slot::kTokenEmbedding:
      return part.first_stage || (config.tied_embedding && part.last_stage);
    case Slot::kPositionEmbedding:
    case Slot::kProjectIn:
      return part.first_stage;
    default:
      return part.last_stage;
  }
}

spec::RankPlan PlanRank(const spec::ModelConfig& config,
                        const std::vector<spec::ModelTensor>& tensors, const Outline& outline,
                        int rank) {
  const RankPart part = outline.PartOf(rank);
  spec::RankPlan plan{.rank = rank,
                      .stage = outline.mesh.StageOf(rank),
                      .tp_index = outline.mesh.TpIndex(rank),
                      .layers = part.layers,
                      .share = part.share,
                      .shards = {},
                      .bytes = outline.bytes[static_cast<size_t>(rank)]};
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!Holds(config, part, tensors[i].id)) continue;
    const spec::TensorShard shard = ShardOf(config, tensors[i], static_cast<int>(i), part.share);
    const int64_t cols = outline.shape.quantisation
                             ? spec::WholeGroups(shard.cols, tensors[i].cols).size()
                             : shard.cols.size();
    plan.bytes.read +=
        static_cast<uint64_t>(shard.rows.size() * cols) * core::SizeOf(tensors[i].stored);
    plan.shards.push_back(shard);
  }
  return plan;
}

}  // namespace

spec::ParallelPlan MakePlan(const spec::ModelConfig& config,
                            const std::vector<spec::ModelTensor>& tensors,
                            const spec::Cluster& cluster, const PlanRequest& request) {
  CheckRequest(config, request);
  const spec::Cluster complete = CompleteCluster(cluster);
  MeshChoice choice = request.ranks > 0 ? ChooseMesh(config, complete, request)
                                        : KeepMesh(config, complete, request);
  const Outline& outline = choice.outline;
  RefuseOverfull(config, complete, request, outline);

  spec::ParallelPlan plan;
  plan.mesh = outline.mesh;
  plan.compute_dtype = outline.shape.compute_dtype;
  plan.quantisation = outline.shape.quantisation;
  plan.vocab_size = config.vocab_size;
  plan.padded_vocab_size = outline.partition.padded_vocab_size;
  plan.batch_size = outline.shape.batch_size;
  plan.micro_batch_size = outline.shape.micro_batch_size;
  plan.max_model_len = outline.shape.max_model_len;
  plan.prefill_chunk = outline.shape.prefill_chunk;
  plan.tensors = tensors;
  for (int rank = 0; rank < outline.mesh.world(); ++rank)
    plan.ranks.push_back(PlanRank(config, tensors, outline, rank));
  plan.notes = MakeNotes(config, outline, complete);
  plan.reasons = std::move(choice.reasons);
  if (!complete.rank_memory_bytes.empty())
    plan.reasons.push_back(fmt::format(
        "the memory holds {} sequence{} of up to {} positions each; the model's context is {}",
        outline.shape.batch_size, outline.shape.batch_size == 1 ? "" : "s",
        LargestContextThatFits(config, outline, complete, config.context_length),
        config.context_length));
  if (RatesUnknown(cluster))
    plan.reasons.push_back(fmt::format(
        "this machine was not measured: the rates are typical ones for {} cores", cluster.cores));
  return plan;
}

void CheckWorld(const spec::Mesh& mesh, int world_size, std::string_view world_source,
                std::optional<int> local_rank) {
  if (world_size < 1)
    throw core::BadInput("{} is {}, must be at least 1", world_source, world_size);
  if (mesh.tp > world_size)
    throw core::BadInput("tensor_parallel_size {} must be less than or equal to world_size {} ({})",
                         mesh.tp, world_size, world_source);
  if (mesh.pp > world_size)
    throw core::BadInput(
        "pipeline_parallel_size {} must be less than or equal to world_size {} ({})", mesh.pp,
        world_size, world_source);
  CheckMesh(mesh);
  if (mesh.world() != world_size)
    throw core::BadInput(
        "world_size {} ({}) must be equal to tensor_parallel_size {} * pipeline_parallel_size {} = "
        "{}",
        world_size, world_source, mesh.tp, mesh.pp, mesh.world());
  if (local_rank && (*local_rank < 0 || *local_rank >= world_size))
    throw core::BadInput(
        "local_rank {} must be at least 0 and less than parallel_size {} * {} = {}", *local_rank,
        mesh.tp, mesh.pp, world_size);
}

}  // namespace autodist::planner
