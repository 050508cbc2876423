// What the overlap tuner is asked for.
#ifndef AUTODIST_TUNE_OVERLAP_OPTIONS_H_
#define AUTODIST_TUNE_OVERLAP_OPTIONS_H_

#include <cstdint>
#include <vector>

#include "autodist/planner/overlap_machine.h"
#include "autodist/spec/overlap.h"
#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {

struct OverlapOptions {
  // Parameters that decide what is measured.
  int max_tp_size = 4;                         // the largest of 2, 4, 8 that is tried
  int64_t max_token_len = 8192;                // tokens of the tensor-parallel group
  std::vector<spec::LinearOp> operators = {};  // empty: all that the model has
  int min_num_sm = 1;                          // bulk and pipeline; at most kMaxNumSm
  int max_num_sm = kMaxNumSm;
  bool allow_pipeline = false;  // pipeline reduce-scatter is a candidate
  int repeats = 7;  // of a case, at least 7; noisy machines get up to eight times as many
  TeVersion te_version = {};
  planner::OverlapMachine machine = {};  // what predictions rest on
  int devices = 8;                       // of the machine: for the memory of the optimizer

  // Parameters that decide what is made of it.
  double scaling_tolerance = 1.2;  // T(2 tp) <= T(tp) / 2 * this, or tp is final
  double overlap_threshold = 0.5;  // hidden share that is reported as effective; decides nothing
};

// Throws core::Error (bad input) naming the flag and its limit.
void Validate(const OverlapOptions& options, const spec::OverlapModel& model);

// options.operators, or all that the model has, in the order of a layer.
std::vector<spec::LinearOp> OperatorsOf(const OverlapOptions& options,
                                        const spec::OverlapModel& model);

// The others that the model has.
std::vector<spec::LinearOp> UnmeasuredOperators(const OverlapOptions& options,
                                                const spec::OverlapModel& model);

// The documented shape of "tuner_config" in docs/json.md.
core::Json ToJson(const OverlapOptions& options, const spec::OverlapModel& model);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_OVERLAP_OPTIONS_H_
