// What a finished tuning leaves in a directory.
#ifndef AUTODIST_TUNE_REPORT_FILES_H_
#define AUTODIST_TUNE_REPORT_FILES_H_

#include <filesystem>

#include "autodist/core/json.h"
#include "autodist/tune/overlap_tuner.h"

namespace autodist::tune {

// AutoDist's own form: per measured tp the fastest setting of every site, each for itself, since
// nothing there ties sites together.
core::Json OverlapJson(const OverlapReport& report);

// tuning_report.json, summary.txt, report.html and overlap.json; of a final report also
// optimal_tp_comm_overlap_cfg.yaml with megatron_flags.txt, and
// optimal_tp_comm_overlap_cfg_tp<n>.yaml with megatron_flags_tp<n>.txt for every tp >= 2 that was
// measured. `directory` exists. Each file appears whole or not at all. Throws core::Error.
void WriteReportFiles(const OverlapReport& report, const std::filesystem::path& directory);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_REPORT_FILES_H_
