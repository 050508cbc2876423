// The settings that are considered at a site, and what the formulas say of them.
#ifndef AUTODIST_TUNE_CANDIDATES_H_
#define AUTODIST_TUNE_CANDIDATES_H_

#include <optional>
#include <vector>

#include "autodist/planner/overlap_model.h"
#include "autodist/spec/overlap.h"
#include "autodist/tune/overlap_options.h"

namespace autodist::tune {

// A site at a tp size. `believed` are the times of its parts, each alone, by the formulas;
// `measured` the same after they were measured, and equal to `believed` before.
struct SiteContext {
  spec::OverlapSite site;
  int tp = 1;
  planner::OverlapProblem problem = {};
  planner::SiteTimes believed = {};
  planner::SiteTimes measured = {};
  // Of the operator's fprop, once measured: all passes share FLOPs and bytes.
  std::optional<planner::SiteTimes> fprop = {};
};

SiteContext ContextOf(const spec::OverlapModel& model, const OverlapOptions& options,
                      spec::OverlapSite site, int tp);

// Every setting that could be chosen, kSequential first, bulk by ascending num_sm: what a search
// without any feedback would have to measure. Only kSequential for tp 1.
std::vector<spec::OverlapSetting> AllSettings(const SiteContext& context,
                                              const OverlapOptions& options);

// bulk with that many blocks: clusters of two where the device has them and the number is even.
spec::OverlapSetting BulkSetting(int num_sm, const OverlapOptions& options);

// By the formulas, from context.measured.
double PredictedSeconds(const SiteContext& context, const spec::OverlapSetting& setting,
                        const OverlapOptions& options);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_CANDIDATES_H_
