// One thing to measure, and what was measured.
#ifndef AUTODIST_TUNE_OVERLAP_CASE_H_
#define AUTODIST_TUNE_OVERLAP_CASE_H_

#include <map>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/spec/overlap.h"

namespace autodist::tune {

// One operator in one pass at one tp size with one setting, `repeats` times.
struct OverlapCase {
  int tp = 1;
  spec::OverlapSite site = {};
  spec::OverlapSetting setting = {};
  int attempt = 0;  // 1: measured again, to tell two settings apart that lie close together
  int repeats = 7;

  // "tp2_fc1_fprop_baseline", "tp4_qkv_fprop_ring_agg1", "tp8_fc1_wgrad_bulk_sm4",
  // "tp2_proj_fprop_pipeline_splits4_sm16"; a second attempt ends in "_again". Does not depend on
  // repeats. Fit for file names.
  std::string Id() const;
};

core::Json ToJson(const OverlapCase& overlap_case);
// Throws core::Error (bad input) naming the field.
OverlapCase ParseOverlapCase(const core::Json& json, std::string_view source);

// One repeat, in seconds: of the slowest rank.
struct CaseSample {
  double wall_s = 0.0;     // from the first to the last thing the device did for the site
  double gemm_s = 0.0;     // in which a product ran
  double comm_s = 0.0;     // in which communication ran
  double exposed_s = 0.0;  // in which communication ran and no computation
};

struct CaseResult {
  std::vector<CaseSample> samples;
  std::string error;          // why there are no samples; empty when there are
  std::string applied;        // the setting that the engine says was in effect; empty: not known
  double profiler_ratio = 0;  // time with over time without the profiler; 0: not known

  bool failed() const { return !error.empty(); }
};

// By OverlapCase::Id().
using CaseResults = std::map<std::string, CaseResult>;

// A mean of each column without its smallest and largest quarter (rounded down), and the standard
// error of that of wall_s, from the spread of the repeats. REQUIRES samples.
struct CaseSummary {
  CaseSample mean;
  double wall_error_s = 0.0;
  double wall_spread = 0.0;  // standard deviation over mean
  int repeats = 0;
};
CaseSummary Summarise(const std::vector<CaseSample>& samples);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_OVERLAP_CASE_H_
