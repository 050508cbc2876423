#include "autodist/runtime/decoder_builder.h"

#include <string>
#include <utility>

#include "autodist/parallel/linear.h"
#include "autodist/parallel/vocab_parallel_embedding.h"

namespace autodist::runtime {
namespace {

using spec::Slot;

class Builder {
 public:
  Builder(const LoadedShard& shard, comm::Communicator& tp) : shard_(shard), tp_(tp) {}

  parallel::LinearWeight Weight(Slot slot, int layer = -1) const {
    const std::string stem = BlobStem(slot, layer);
    return {shard_.Matrix(stem + ".weight"), shard_.Vector(stem + ".bias")};
  }
  std::unique_ptr<parallel::Linear> Column(Slot slot, int layer = -1) const {
    return std::make_unique<parallel::ColumnParallelLinear>(Weight(slot, layer));
  }
  std::unique_ptr<parallel::Linear> Row(Slot slot, int layer = -1) const {
    return std::make_unique<parallel::RowParallelLinear>(Weight(slot, layer), tp_);
  }
  std::unique_ptr<parallel::Linear> LocalIfPresent(Slot slot) const {
    if (!shard_.Has(BlobStem(slot, -1) + ".weight")) return nullptr;
    return std::make_unique<parallel::LocalLinear>(Weight(slot));
  }
  core::ConstTensorView Vector(Slot slot, int layer) const {
    return shard_.Vector(BlobStem(slot, layer) + ".weight");
  }
  model::NormWeights Norm(Slot slot, int layer = -1) const {
    return {Vector(slot, layer), shard_.Vector(BlobStem(slot, layer) + ".bias")};
  }
  model::DecoderLayer Layer(int layer) const {
    return {.attention_norm = Norm(Slot::kAttentionNorm, layer),
            .mlp_norm = Norm(Slot::kMlpNorm, layer),
            .q_norm = Vector(Slot::kQNorm, layer),
            .k_norm = Vector(Slot::kKNorm, layer),
            .qkv = Column(Slot::kQ, layer),
            .attention_output = Row(Slot::kAttentionOutput, layer),
            .gate_up = Column(Slot::kUp, layer),
            .down = Row(Slot::kDown, layer)};
  }

 private:
  const LoadedShard& shard_;
  comm::Communicator& tp_;
};

}  // namespace

std::unique_ptr<model::Decoder> BuildDecoder(const spec::ModelConfig& config,
                                             const spec::ParallelPlan& plan, int rank,
                                             const LoadedShard& shard, comm::Communicator& tp) {
  const spec::RankPlan& own = plan.rank(rank);
  const Builder builder(shard, tp);
  model::DecoderParts parts;
  if (own.stage == 0) {
    parts.embedding = std::make_unique<parallel::VocabParallelEmbedding>(
        builder.Weight(Slot::kTokenEmbedding).weight, own.share.vocab, tp);
    parts.project_in = builder.LocalIfPresent(Slot::kProjectIn);
    parts.positions = shard.Table(BlobStem(Slot::kPositionEmbedding, -1) + ".weight");
  }
  for (int64_t layer = own.layers.first; layer < own.layers.last; ++layer)
    parts.layers.push_back(builder.Layer(static_cast<int>(layer)));
  if (own.stage + 1 == plan.mesh.pp) {
    parts.final_norm = builder.Norm(Slot::kFinalNorm);
    parts.project_out = builder.LocalIfPresent(Slot::kProjectOut);
    parts.head = builder.Column(config.tied_embedding ? Slot::kTokenEmbedding : Slot::kHead);
  }
  model::DecoderShare share{.first_layer = own.layers.first,
                            .kv_head_of_q = own.share.kv_head_of_q,
                            .kv_heads = own.share.kv_heads.size(),
                            .ffn = own.share.ffn.size()};
  return std::make_unique<model::Decoder>(config, plan.compute_dtype, plan.max_model_len,
                                          std::move(share), std::move(parts));
}

void GatherVocabulary(device::Stream& stream, comm::Communicator& tp,
                      const spec::ParallelPlan& plan, core::ConstTensorView own_RV,
                      core::TensorView whole_RV) {
  std::vector<spec::Range> ranges;
  for (int t = 0; t < plan.mesh.tp; ++t)
    ranges.push_back(plan.rank(plan.mesh.RankOf(plan.mesh.pp - 1, 0, t)).share.vocab);
  parallel::GatherColumns(stream, tp, ranges, own_RV, whole_RV);
}

}  // namespace autodist::runtime
