// Predicted time of prefill and decode on a mesh, from what is read, computed and sent, and the
// rates of a cluster. It ranks meshes; bench/growth.py shows how far it is from measurements.
//
// With the seconds that planner/rates.h gives to a rank, one forward call of `rows` tokens through
// stage s takes
//
//   t_s = max over its tp ranks of
//           Products(matrices of its layers)
//         + Attention() and Cache(), or CachedAttention() where each row is a sequence
//         + Rows(activations read and written) + 10 Operations() a layer
//         + Products(head)                                     last stage
//           (of its last layer, all rows want queries, keys and values only; the rest is for rows
//           that want logits)
//         + Wait(all of this), with 2 * layers meetings        tp > 1
//       + 2 * layers * sum(rows)                               tp > 1
//       + all_reduce(rows) on the first stage, two latencies on the last    vocabulary
//       + send(rows)                                           but for the last stage
//
// where all_reduce(rows) moves 2 (tp - 1) / tp * message, message = 4 * rows * hidden; sum(rows) is
// the same below 16 rows, from there on one message out and one in the compute dtype back, times
// (tp - 1) / tp, in two steps; send(rows) moves a message. What moving takes, Link::Seconds() says.
// C calls in flight then take  sum_s t_s + (C - 1) * i  when each goes through once (prefill: the
// chunks of all prompts), and max(sum_s t_s + latency, C * i) per token when they go round and
// round (decode: the micro-batches), where the interval i is the longest t_s, and with tp 1 what
// that stage waits for another: Wait(its computing), with one meeting, if it takes as long; less,
// if it is faster.
#ifndef AUTODIST_PLANNER_COST_MODEL_H_
#define AUTODIST_PLANNER_COST_MODEL_H_

#include "autodist/planner/outline.h"
#include "autodist/spec/cluster.h"
#include "autodist/spec/model_config.h"

namespace autodist::planner {

// For a batch whose sequences each fill max_model_len, shape.prompt_length of it with the prompt
// and the rest with generated tokens.
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

// REQUIRES: `cluster` is complete (rates.h: CompleteCluster).
Prediction Predict(const spec::ModelConfig& config, const Outline& outline,
                   const spec::Cluster& cluster);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_COST_MODEL_H_
