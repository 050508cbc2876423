// Bytes that one rank needs, before anything is loaded. The weights and the KV cache are exact:
// they are the sizes of the packed layout and of the pages that the runtime allocates. Activations
// are an upper estimate.
#ifndef AUTODIST_PLANNER_MEMORY_MODEL_H_
#define AUTODIST_PLANNER_MEMORY_MODEL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "autodist/core/dtype.h"
#include "autodist/core/weight_format.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

inline constexpr int64_t kTokensPerPage = 64;  // of the KV cache

// What a run asks for, whatever the mesh.
struct RunShape {
  core::DType compute_dtype = core::DType::kF32;  // f32 or bf16
  std::optional<core::WeightFormat> quantisation = {};
  int64_t batch_size = 1;
  int64_t micro_batch_size = 1;
  int64_t max_model_len = 1;
  int64_t prompt_length = 1;  // of it, for predictions: nothing else depends on it
  int64_t prefill_chunk = 512;

  core::WeightFormat weight_format() const {
    return quantisation.value_or(core::FormatOf(compute_dtype));
  }
};

// Where in the pipeline a rank stands, and what it computes there.
struct RankPart {
  spec::TpShare share = {};
  spec::Range layers = {};
  bool first_stage = true;
  bool last_stage = true;
  bool tp_peers = false;  // tp > 1
};

// A packed matrix [rows, cols.size()], as kernels/matmul.h lays it out: rows in blocks of 64 and,
// in bf16, columns in 32. Quantised columns lie in groups of 32 of the whole matrix.
uint64_t PackedMatrixBytes(int64_t rows, spec::Range cols, core::WeightFormat format);

// One decoder block: the packed matrices qkv, attention_output, gate_up (or up) and down; norms and
// biases in f32.
uint64_t LayerWeightBytes(const spec::ModelConfig& config, const spec::TpShare& share,
                          core::WeightFormat format);

// The rank's rows of the embedding table, or of the head: the same packed layout for both.
uint64_t VocabTableBytes(const spec::ModelConfig& config, const spec::TpShare& share,
                         core::WeightFormat format);

// Layers, what stands before them on the first stage and after them on the last one. A tied table
// is counted once on a rank that is both.
uint64_t WeightBytes(const spec::ModelConfig& config, const RankPart& part,
                     core::WeightFormat format);

// 2 (k, v) * layers * kv heads * head_dim * pages * 64 tokens, for every sequence of the batch.
uint64_t KvCacheBytes(const spec::ModelConfig& config, const RankPart& part, const RunShape& shape);

// What one decode step of a micro-batch reads: the matrices, not the embedding table, of which it
// looks up a few rows, and the micro-batch's KV cache, half full.
uint64_t StepReadBytes(const spec::ModelConfig& config, const RankPart& part,
                       const RunShape& shape);

// Everything but `read`, which depends on the checkpoint.
spec::RankBytes EstimateRank(const spec::ModelConfig& config, const RankPart& part,
                             const RunShape& shape);

// "512 B", "1.50 GiB": binary units, three digits.
std::string FormatBytes(uint64_t bytes);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_MEMORY_MODEL_H_
