// From a model, a machine and a wish to the plan that every rank follows.
//
// Pure functions of their arguments: no clock, no device, no global state, so every rank that
// evaluates them gets the same plan, or the same refusal.
#ifndef AUTODIST_PLANNER_PLANNER_H_
#define AUTODIST_PLANNER_PLANNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/dtype.h"
#include "autodist/core/weight_format.h"
#include "autodist/spec/cluster.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/model_tensor.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

// Prompt tokens per forward call. Constant, so that a prompt is chunked alike, and gives the same
// bits, on every mesh.
inline constexpr int64_t kPrefillChunk = 512;
inline constexpr int kMaxRanks = 4096;

// What is asked of the plan. Validated by MakePlan.
struct PlanRequest {
  // The mesh. With `ranks` > 0 it is ignored: the planner chooses tp and pp with tp * pp == ranks
  // by predicted time.
  spec::Mesh mesh = {};
  int ranks = 0;

  // Layers of each stage, summing to the layer count; empty: stages that read alike in a decode
  // step, or with unequal memories, that fill them alike.
  std::vector<int64_t> stage_layers = {};

  core::DType compute_dtype = core::DType::kF32;  // f32 or bf16
  std::optional<core::WeightFormat> quantisation =
      {};                        // int8 or int4; else weights are as computed
  int64_t batch_size = 1;        // sequences in flight; each holds a KV cache of max_model_len
  int64_t micro_batch_size = 0;  // sequences per micro-batch; 0: ceil(batch_size / pp)
  int64_t max_model_len = 0;     // positions per sequence; 0: the model's context length
  int64_t prompt_length = 0;     // of those, for predictions; 0: half
};

// The plan. Throws core::Error (bad input) for
//   a tp above the number of heads, a pp above the number of layers, with the sizes that work;
//   dp != 1; a layout that does not sum to the layer count; a length above the model's context;
//   a rank that needs more memory than the cluster gives it, with what it needs it for, and what
//   would fit.
// Predictions use the rates of `cluster`; where those of the host are unknown, typical ones, and
// the reasons say so.
spec::ParallelPlan MakePlan(const spec::ModelConfig& config,
                            const std::vector<spec::ModelTensor>& tensors,
                            const spec::Cluster& cluster, const PlanRequest& request);

// The checks that need no model: sizes are positive, dp is 1, their product is `world_size`, and 0
// <= local_rank < world_size. `world_source` names where the world size came from, for the message
// ("--world-size", "WORLD_SIZE"). Throws core::Error (bad input).
void CheckWorld(const spec::Mesh& mesh, int world_size, std::string_view world_source,
                std::optional<int> local_rank);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_PLANNER_H_
