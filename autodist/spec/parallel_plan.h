// The plan: which rank holds which part of which tensor, and what that costs. Nothing else decides
// placement.
//
// Plain data, made by planner/, printed by cli/, executed by runtime/. The same on every rank.
#ifndef AUTODIST_SPEC_PARALLEL_PLAN_H_
#define AUTODIST_SPEC_PARALLEL_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autodist/core/dtype.h"
#include "autodist/core/json.h"
#include "autodist/core/weight_format.h"
#include "autodist/spec/model_tensor.h"

namespace autodist::spec {

// [first, last)
struct Range {
  int64_t first = 0;
  int64_t last = 0;
  int64_t size() const { return last - first; }
  bool operator==(const Range&) const = default;
};

// rank = (pp_index * dp + dp_index) * tp + tp_index: TP ranks are neighbours.
struct Mesh {
  int tp = 1;
  int pp = 1;
  int dp = 1;

  int world() const { return tp * pp * dp; }
  int RankOf(int pp_index, int dp_index, int tp_index) const {
    return (pp_index * dp + dp_index) * tp + tp_index;
  }
  int TpIndex(int rank) const { return rank % tp; }
  int DpIndex(int rank) const { return rank / tp % dp; }
  int StageOf(int rank) const { return rank / (tp * dp); }
  bool operator==(const Mesh&) const = default;
};

// From so many rows on, the ranks of a tp group share the rows of a sum: below, meeting twice costs
// more than adding all rows on every rank.
inline constexpr int64_t kRowsToShare = 16;

// One rank's rectangle of one tensor: rows x cols of ParallelPlan::tensors[tensor].
struct TensorShard {
  int tensor = 0;
  Range rows;
  Range cols;
};

// What one tp index computes of every layer, and of the vocabulary.
struct TpShare {
  Range q_heads;
  Range kv_heads;  // the kv heads that its q heads read; two ranks may hold the same one
  std::vector<int32_t> kv_head_of_q;  // per local q head: its kv head, counted from kv_heads.first
  Range ffn;
  Range vocab;  // rows of embedding and head; clipped to vocab_size, may be empty on the last ranks
};

struct RankBytes {
  uint64_t weights = 0;  // in memory, packed
  uint64_t kv_cache = 0;
  uint64_t activations = 0;
  uint64_t buffers = 0;  // communication
  uint64_t read = 0;     // bytes of the checkpoint this rank needs (tied tensors once)
  uint64_t total() const { return weights + kv_cache + activations + buffers; }
};

struct RankPlan {
  int rank = 0;
  int stage = 0;
  int tp_index = 0;
  Range layers;
  TpShare share;
  std::vector<TensorShard> shards;
  RankBytes bytes;
};

struct ParallelPlan {
  Mesh mesh;
  core::DType compute_dtype =
      core::DType::kF32;  // f32 or bf16: packed weights, KV cache and inputs of products
  // int8 or int4: of the packed weights instead.
  std::optional<core::WeightFormat> quantisation = {};
  int64_t vocab_size = 0;
  int64_t padded_vocab_size = 0;
  int64_t batch_size = 1;        // sequences in flight
  int64_t micro_batch_size = 1;  // sequences per micro-batch
  int64_t max_model_len = 0;     // positions per sequence the KV cache is planned for
  int64_t prefill_chunk = 0;     // prompt tokens per forward call; does not depend on the mesh
  std::vector<ModelTensor> tensors;
  std::vector<RankPlan> ranks;
  std::vector<std::string> notes;    // what was replicated, padded or cut unevenly, and why
  std::vector<std::string> reasons;  // why this mesh; the runner-up (set by --ranks and by plan)

  const RankPlan& rank(int index) const { return ranks[static_cast<size_t>(index)]; }
  core::WeightFormat weight_format() const {
    return quantisation.value_or(core::FormatOf(compute_dtype));
  }
};

// The inputs of the groups that hold `cols`, of a tensor with `tensor_cols` inputs: what is read,
// and decides the scales, when it is quantised.
Range WholeGroups(Range cols, int64_t tensor_cols);

// What lies on which rank, as text: equal texts mean equal shards. The key of the shard cache.
std::string PlacementText(const ParallelPlan& plan);

// The documented shape of "plan" in docs/json.md.
core::Json ToJson(const ParallelPlan& plan);

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_PARALLEL_PLAN_H_
