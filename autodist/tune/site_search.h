// The best settings of one site at one tp size, from few measurements.
//
// Sequential, the site without userbuffers, is measured first. Its product and its collective
// replace the formulas' own figures in the predictions of the other settings. Where the engine runs
// a collective beside the product by itself (TransformerEngine does so at the sites kBeside), they
// are not what each takes alone: those of the operator's fprop, where one waits for the other,
// stand for them. Settings within 15 % of the best prediction are measured; of bulk, the number of
// blocks is bisected on measured times: the smallest one for which the collective ends before the
// product, and its neighbour below. Where the two best methods lie within their errors of each
// other, both are measured once more.
#ifndef AUTODIST_TUNE_SITE_SEARCH_H_
#define AUTODIST_TUNE_SITE_SEARCH_H_

#include <optional>
#include <string>
#include <vector>

#include "autodist/tune/candidates.h"
#include "autodist/tune/overlap_case.h"
#include "autodist/tune/overlap_options.h"
#include "autodist/tune/replay.h"

namespace autodist::tune {

// A setting with its results, those of a second attempt included.
struct MeasuredSetting {
  OverlapCase overlap_case;
  double predicted_s = 0.0;   // by the formulas, before anything was measured
  CaseSummary summary = {};   // REQUIRES error.empty()
  std::string error = {};     // of the failed case
  std::string applied = {};   // as the engine said
  double profiler_ratio = 0;  // as the launcher said; 0: not known

  bool failed() const { return !error.empty(); }
};

struct SiteFindings {
  SiteContext context;
  std::vector<MeasuredSetting> settings = {};  // in the order of AllSettings
  bool complete = false;                       // false: results are missing
  // When no overlapped setting (scattering ones apart) is near enough to be measured: the best of
  // them by prediction, which a decision about a group of sites may still want.
  std::optional<spec::OverlapSetting> unmeasured = {};
  double unmeasured_s = 0.0;

  const MeasuredSetting* sequential() const;  // nullptr: failed
  // The measured times of the parts alone; nothing where they were not measured.
  std::optional<planner::SiteTimes> alone = {};
  // The share of its communication that the site hides without userbuffers.
  double hidden_anyway = 0.0;
  // The fastest overlapped setting, nullptr when none was measured and worked. Scattering ones (see
  // ScattersDgrad) stand apart, since they change the wgrad that follows. Of settings within half a
  // percent of the fastest, the one with the fewest blocks.
  const MeasuredSetting* BestOverlap() const;
  const MeasuredSetting* BestScattering() const;
};

SiteFindings SearchSite(SiteContext context, const OverlapOptions& options, Replay& replay);

// A setting that the search left out, measured because a group of sites wants it: as SearchSite,
// and `setting` is among the measured ones. findings.complete is false while its result is missing.
void AddSetting(const spec::OverlapSetting& setting, const OverlapOptions& options, Replay& replay,
                SiteFindings& findings);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_SITE_SEARCH_H_
