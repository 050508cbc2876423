// Predicted time of prefill and decode on a mesh. Simple on purpose: it ranks meshes, it does not
// replace a measurement.
//
// A rank owns cores / world cores and, of the host's rates (bytes read per second, flops), the
// share that its cores have, but at most an equal part among the ranks that are busy at once (tp
// times the stages with work). One forward call of `rows` tokens through stage s takes
//
//   t_s = max over its tp ranks of max(bytes / read rate, flops / flop rate)        matrices and
//   cache
//       + 2 * layers * all_reduce(rows)                                             tp > 1
//       + all_reduce(rows) on the first stage, one latency on the last              vocabulary
//       + send(rows)                                                                but for the
//       last stage
//
// with bytes = weights + the KV cache at half of max_model_len, flops = 2 * rows * weights +
// attention, all_reduce(rows) = latency + 2 (tp - 1) / tp * message / link, send(rows) = latency +
// message / link, and message = 4 * rows * hidden. C calls in flight then take  sum_s t_s + (C - 1)
// * max_s t_s  when each goes through once (prefill: the chunks of all prompts), and max(sum_s t_s,
// C * max_s t_s) per token when they go round and round (decode: the micro-batches).
#ifndef AUTODIST_PLANNER_COST_MODEL_H_
#define AUTODIST_PLANNER_COST_MODEL_H_

#include "autodist/planner/outline.h"
#include "autodist/spec/cluster.h"
#include "autodist/spec/model_config.h"

namespace autodist::planner {

// For a batch whose sequences each fill max_model_len: the first half is the prompt, the rest is
// generated.
struct Prediction {
  double prefill_s = 0.0;  // all prompts
  double decode_s = 0.0;   // all generated tokens
  double prefill_tokens_per_s = 0.0;
  double decode_tokens_per_s = 0.0;  // all sequences together

  double total_s() const { return prefill_s + decode_s; }
};

// REQUIRES: the rates of `cluster` are positive (CompleteCluster).
Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster);

// `cluster` with the rates of a typical present-day host of that many cores when all four rates are
// 0 (unknown): 8 GB/s read and 30 GFLOP/s per core, 5 us and 4 GB/s between ranks. Throws
// core::Error (bad input) when some are given and one is not a positive, finite number, or cores
// < 1.
spec::Cluster CompleteCluster(const spec::Cluster& cluster);

// Whether the rates are unknown, so that CompleteCluster fills them in.
bool RatesUnknown(const spec::Cluster& cluster);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_COST_MODEL_H_
