// Sentences about what a plan does beyond a plain, even cut: printed with the plan, tested as part
// of it.
#ifndef AUTODIST_PLANNER_NOTES_H_
#define AUTODIST_PLANNER_NOTES_H_

#include <string>
#include <vector>

#include "autodist/planner/outline.h"
#include "autodist/spec/cluster.h"
#include "autodist/spec/model_config.h"

namespace autodist::planner {

// What was replicated, padded or cut unevenly, and why. Empty for an even cut with nothing to say.
std::vector<std::string> MakeNotes(const spec::ModelConfig& config, const Outline& outline,
                                   const spec::Cluster& cluster);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_NOTES_H_
