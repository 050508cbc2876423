// The pp axis: which consecutive layers each stage holds.
#ifndef AUTODIST_PLANNER_STAGES_H_
#define AUTODIST_PLANNER_STAGES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

// The load of `stage` when it holds `layers`: bytes, or a fraction of its memory. Grows with the
// range.
using StageLoad = std::function<double(int stage, spec::Range layers)>;

// Cuts [0, layers) into `stages` non-empty ranges: the largest load is as small as any cut can make
// it and, among such cuts, the sum of the squares is smallest (so the stages that do not limit are
// even, too). Exact; O(stages * layers^2) calls of `load`. REQUIRES: 1 <= stages <= layers.
std::vector<spec::Range> BalanceStages(int64_t layers, int stages, const StageLoad& load);

// The ranges of an explicit layout. Throws core::Error (bad input) with L, P and the layout unless
// it has `stages` entries, each positive, that sum to `layers`.
std::vector<spec::Range> StagesFromLayout(int64_t layers, int stages,
                                          const std::vector<int64_t>& stage_layers);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_STAGES_H_
