// Which tp size, and with which settings: sites searched, switches chosen, sizes doubled.
#ifndef AUTODIST_TUNE_OVERLAP_SEARCH_H_
#define AUTODIST_TUNE_OVERLAP_SEARCH_H_

#include <string>
#include <vector>

#include "autodist/tune/flag_groups.h"
#include "autodist/tune/overlap_case.h"
#include "autodist/tune/overlap_options.h"
#include "autodist/tune/site_search.h"

namespace autodist::tune {

// What overlap must gain at least over a site without it.
inline constexpr double kPreferSequential = 0.01;

// What is known of one tp size. Layer times are sums over the sites: what one layer spends in its
// linear operators and their collectives, forward and backward.
struct TpFindings {
  int tp = 1;
  std::string excluded = {};  // why the size was not measured, or could not be judged; or empty
  bool failed = false;        // excluded because cases failed
  std::vector<SiteFindings> sites = {};
  FlagChoice flags = {};
  double layer_s = 0.0;        // with the chosen switches
  double error_s = 0.0;        // standard error of layer_s
  double sequential_s = 0.0;   // without userbuffers
  double lower_bound_s = 0.0;  // max(G, C) of every site: what perfect overlap would give
  double predicted_s = 0.0;    // the best by the formulas, each site for itself
  bool complete = false;       // false: results are missing
};

// The setting that a site runs with under the chosen switches: nullptr for a failed one and for the
// product alone after a scattering dgrad.
const MeasuredSetting* ChosenSetting(const TpFindings& size, const SiteFindings& site);
double ChosenSeconds(const TpFindings& size, const SiteFindings& site);

// A row of the doubling table.
struct DoublingStep {
  int tp = 1;
  double layer_s = 0.0;
  double limit_s = 0.0;     // T(tp / 2) / 2 * tolerance; 0 for tp 1
  double efficiency = 0.0;  // T(1) / (tp T(tp))
  bool accepted = false;
};

struct OverlapOutcome {
  std::vector<TpFindings> sizes = {};  // tp 1, 2, ... as far as the search went
  std::vector<DoublingStep> doubling = {};
  int optimal_tp = 1;          // 1: tensor parallelism off
  bool memory_forced = false;  // the rule alone would have ended at a smaller size
  std::string undecided = {};  // why nothing can be recommended: a size that failed; or empty
  std::vector<std::string> remarks = {};
  std::vector<OverlapCase> wanted = {};  // the next round; empty: the outcome is final

  // nullptr when the search did not get there, or is not through with it.
  const TpFindings* Find(int tp) const;
};

// A pure function of what was measured: call it again with the results of `wanted`. REQUIRES valid
// options (Validate).
OverlapOutcome SearchOverlap(const spec::OverlapModel& model, const OverlapOptions& options,
                             const CaseResults& results);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_OVERLAP_SEARCH_H_
