// Predicted time of prefill and decode on a mesh. Simple on purpose: it ranks meshes, it does not
// replace a measurement.
//
// A rank owns cores / ranks of its host, and of the host's rates (bytes read per second, flops) the
// share that its cores have, but at most an equal part among the ranks of the host that are busy at
// once (all of them: tp times the stages with work). One forward call of `rows` tokens through
// stage s takes
//
//   t_s = max over its tp ranks of
//           max(matrix bytes / read rate, matrix flops / flop rate)                    layers
//         + max(cache bytes / read rate, attention flops / attention rate)
//         + max(head bytes / read rate, head flops / flop rate)                        last stage
//         + row bytes / row rate + 6 layers * operation                norms, activations, sums
//       + 2 * layers * all_reduce(rows)                                                tp > 1
//       + all_reduce(rows) on the first stage, one latency on the last                 vocabulary
//       + send(rows)                                                   but for the last stage
//
// with attention flops = 4 * rows * keys * heads * head_dim, row bytes as in RowBytes(),
// all_reduce(rows) = latency + 2 (tp - 1) / tp * message / link, send(rows) = latency + message /
// link, and message = 4 * rows * hidden; the link is the one within a host when all that meet are
// on one, else the one between hosts. C calls in flight then take  sum_s t_s + (C - 1) * max_s t_s
// when each goes through once (prefill: the chunks of all prompts), and max(sum_s t_s + latency, C
// * max_s t_s) per token when they go round and round (decode: the micro-batches).
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
  // Of each phase, the part in which rank 0 does not compute: it moves data or waits for peers.
  double prefill_communication = 0.0;
  double decode_communication = 0.0;

  double total_s() const { return prefill_s + decode_s; }
  double communication() const {
    return (prefill_communication * prefill_s + decode_communication * decode_s) / total_s();
  }
};

// REQUIRES: the rates of `cluster` are positive (CompleteCluster).
Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster);

// `cluster` with the rates of a typical present-day host of that many cores when the first four
// rates are 0 (unknown): 8 GB/s read and 30 GFLOP/s per core, 5 us and 4 GB/s between ranks. Of
// the others, 0 stays for "free", or becomes what spec/cluster.h says. Throws core::Error (bad
// input) when some of the four are given and one is not a positive, finite number, another rate is
// negative or not finite, cores < 1 or hosts < 1.
spec::Cluster CompleteCluster(const spec::Cluster& cluster);

// Whether the rates are unknown, so that CompleteCluster fills them in.
bool RatesUnknown(const spec::Cluster& cluster);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_COST_MODEL_H_
