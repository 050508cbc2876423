// A plan as text for people: what `autodist plan` prints.
#ifndef AUTODIST_PLANNER_EXPLAIN_H_
#define AUTODIST_PLANNER_EXPLAIN_H_

#include <string>

#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

// Mesh, stages, every tensor with its role and the slice of each tp rank (the layers are alike and
// stand folded as `layers.*`), bytes per rank (equal neighbours on one line), notes and reasons.
// Lines are at most 100 columns wide; the text ends with a newline.
std::string Explain(const spec::ModelConfig& config, const spec::ParallelPlan& plan);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_EXPLAIN_H_
