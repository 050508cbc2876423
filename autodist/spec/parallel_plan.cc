#include "autodist/spec/parallel_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace autodist::spec {
namespace {

core::Json ToJson(const Range& range) { return core::Json::array({range.first, range.last}); }

core::Json ToJson(const RankPlan& rank) {
  return {{"rank", rank.rank},
          {"stage", rank.stage},
          {"tp_index", rank.tp_index},
          {"layers", ToJson(rank.layers)},
          {"q_heads", ToJson(rank.share.q_heads)},
          {"kv_heads", ToJson(rank.share.kv_heads)},
          {"ffn", ToJson(rank.share.ffn)},
          {"vocab", ToJson(rank.share.vocab)},
          {"bytes",
           {{"weights", rank.bytes.weights},
            {"kv_cache", rank.bytes.kv_cache},
            {"activations", rank.bytes.activations},
            {"buffers", rank.bytes.buffers},
            {"read", rank.bytes.read},
            {"total", rank.bytes.total()}}}};
}

}  // namespace

Range WholeGroups(Range cols, int64_t tensor_cols) {
  constexpr int64_t kGroup = core::kGroupInputs;
  return {cols.first / kGroup * kGroup,
          std::min(tensor_cols, (cols.last + kGroup - 1) / kGroup * kGroup)};
}

std::string PlacementText(const ParallelPlan& plan) {
  std::string text = fmt::format("tp {} pp {} dp {}\n", plan.mesh.tp, plan.mesh.pp, plan.mesh.dp);
  for (const RankPlan& rank : plan.ranks) {
    for (const TensorShard& shard : rank.shards) {
      const ModelTensor& tensor = plan.tensors[static_cast<size_t>(shard.tensor)];
      fmt::format_to(std::back_inserter(text), "{} {} {}+{}{} {}:{} {}:{}\n", rank.rank,
                     ToString(tensor.id), tensor.source, tensor.source_row,
                     tensor.transposed ? "T" : "", shard.rows.first, shard.rows.last,
                     shard.cols.first, shard.cols.last);
    }
  }
  return text;
}

core::Json ToJson(const ParallelPlan& plan) {
  core::Json ranks = core::Json::array();
  for (const RankPlan& rank : plan.ranks) ranks.push_back(ToJson(rank));
  return {{"tensor_parallel_size", plan.mesh.tp},
          {"pipeline_parallel_size", plan.mesh.pp},
          {"data_parallel_size", plan.mesh.dp},
          {"dtype", core::NameOf(plan.compute_dtype)},
          {"weights", core::NameOf(plan.weight_format())},
          {"vocab_size", plan.vocab_size},
          {"padded_vocab_size", plan.padded_vocab_size},
          {"batch_size", plan.batch_size},
          {"micro_batch_size", plan.micro_batch_size},
          {"max_model_len", plan.max_model_len},
          {"prefill_chunk", plan.prefill_chunk},
          {"ranks", ranks},
          {"notes", plan.notes},
          {"reasons", plan.reasons}};
}

}  // namespace autodist::spec
