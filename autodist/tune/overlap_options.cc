#include "autodist/tune/overlap_options.h"

#include <algorithm>

#include "autodist/core/error.h"

namespace autodist::tune {

void Validate(const OverlapOptions& options, const spec::OverlapModel& model) {
  if (options.max_tp_size != 2 && options.max_tp_size != 4 && options.max_tp_size != 8)
    throw core::BadInput("--max-tp-size is {}, must be 2, 4 or 8", options.max_tp_size);
  if (options.max_token_len < 2 || options.max_token_len > (int64_t{1} << 24))
    throw core::BadInput("--max-token-len is {}, must be in [2, {}]", options.max_token_len,
                         int64_t{1} << 24);
  if (options.max_token_len % 2 != 0)
    throw core::BadInput("--max-token-len is {}, must be even: ranks share the tokens",
                         options.max_token_len);
  if (options.min_num_sm < 1 || options.min_num_sm > kMaxNumSm)
    throw core::BadInput("--min-num-sm is {}, must be in [1, {}]", options.min_num_sm, kMaxNumSm);
  if (options.max_num_sm < options.min_num_sm || options.max_num_sm > kMaxNumSm)
    throw core::BadInput("--max-num-sm is {}, must be in [{}, {}]", options.max_num_sm,
                         options.min_num_sm, kMaxNumSm);
  if (options.max_num_sm >= options.machine.sm_count)
    throw core::BadInput("--max-num-sm is {}, must be below the machine's {} multiprocessors",
                         options.max_num_sm, options.machine.sm_count);
  if (!(options.scaling_tolerance >= 1 && options.scaling_tolerance < 2))
    throw core::BadInput("--scaling-tolerance is {}, must be a ratio in [1, 2)",
                         options.scaling_tolerance);
  if (!(options.overlap_threshold >= 0 && options.overlap_threshold <= 1))
    throw core::BadInput("--overlap-threshold is {}, must be a share in [0, 1]",
                         options.overlap_threshold);
  if (options.repeats < 7 || options.repeats > 1000)
    throw core::BadInput("--repeats is {}, must be in [7, 1000]", options.repeats);
  for (const spec::LinearOp op : options.operators)
    if (!model.Has(op))
      throw core::BadInput("--operators: {} has no {}{}{}", model.name, spec::NameOf(op),
                           model.notes.empty() ? "" : ": ",
                           model.notes.empty() ? "" : model.notes.front());
}

std::vector<spec::LinearOp> OperatorsOf(const OverlapOptions& options,
                                        const spec::OverlapModel& model) {
  std::vector<spec::LinearOp> operators;
  for (const spec::LinearOp op : model.Operators())
    if (options.operators.empty() || std::find(options.operators.begin(), options.operators.end(),
                                               op) != options.operators.end())
      operators.push_back(op);
  return operators;
}

std::vector<spec::LinearOp> UnmeasuredOperators(const OverlapOptions& options,
                                                const spec::OverlapModel& model) {
  const std::vector<spec::LinearOp> measured = OperatorsOf(options, model);
  std::vector<spec::LinearOp> others;
  for (const spec::LinearOp op : model.Operators())
    if (std::find(measured.begin(), measured.end(), op) == measured.end()) others.push_back(op);
  return others;
}

core::Json ToJson(const OverlapOptions& options, const spec::OverlapModel& model) {
  core::Json operators = core::Json::object();
  for (const spec::LinearOp op : OperatorsOf(options, model)) {
    const spec::LinearShape shape = spec::ShapeOf(model, op);
    operators[std::string(spec::NameOf(op))] = {shape.inputs, shape.outputs};
  }
  return {{"model_name", model.name},
          {"operators", operators},
          {"max_tp_size", options.max_tp_size},
          {"max_token_len", options.max_token_len},
          {"min_num_sm", options.min_num_sm},
          {"max_num_sm", options.max_num_sm},
          {"allow_pipeline", options.allow_pipeline},
          {"repeats", options.repeats},
          {"te_version", ToText(options.te_version)},
          {"scaling_tolerance", options.scaling_tolerance},
          {"overlap_threshold", options.overlap_threshold},
          {"machine", planner::ToJson(options.machine)}};
}

}  // namespace autodist::tune
