// Two tuning reports side by side.
#ifndef AUTODIST_TUNE_REPORT_DIFF_H_
#define AUTODIST_TUNE_REPORT_DIFF_H_

#include <filesystem>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/report/table.h"

namespace autodist::tune {

// A site at a tp size in both reports. Times in microseconds.
struct SiteDifference {
  int tp = 1;
  std::string site;
  std::string setting_a;  // as Describe says it; "-" where the report has none
  std::string setting_b;
  double wall_a_us = 0.0;
  double wall_b_us = 0.0;
};

struct ReportDifference {
  std::string verdict_a;
  std::string verdict_b;
  std::vector<SiteDifference> layers;  // site "layer", settings "-": the whole layer
  std::vector<SiteDifference> sites;   // of the tp sizes and sites that are in both
  std::vector<std::string> remarks;    // what makes the two hard to compare
};

// Of two tuning_report.json files. Throws core::Error (bad input) naming file and field.
ReportDifference DiffReports(const std::filesystem::path& a, const std::filesystem::path& b);

std::string ToText(const ReportDifference& difference);
core::Json ToJson(const ReportDifference& difference);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_REPORT_DIFF_H_
