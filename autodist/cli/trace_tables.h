// The tables of `autodist trace`.
#ifndef AUTODIST_CLI_TRACE_TABLES_H_
#define AUTODIST_CLI_TRACE_TABLES_H_

#include <span>
#include <string>

#include "autodist/core/json.h"
#include "autodist/report/table.h"
#include "autodist/trace/analysis.h"

namespace autodist::cli {

// Rows "all", then the operators; times in microseconds. `baseline` may be nullptr.
report::Table OperatorTable(const trace::RankAnalysis& rank, const trace::RankAnalysis* baseline);
// Operators over all ranks: the slowest rank's figures.
report::Table MergedTable(std::span<const trace::RankAnalysis> ranks,
                          const trace::RankAnalysis* baseline);
report::Table KernelTable(std::span<const trace::KernelTime> kernels);

// The text of `trace analyze`.
std::string AnalysisText(std::span<const trace::RankAnalysis> ranks,
                         const trace::RankAnalysis* baseline);
// One line per rank and operator.
std::string AnalysisCsv(std::span<const trace::RankAnalysis> ranks,
                        const trace::RankAnalysis* baseline);

// "all", then the operators that either has; b - a and b / a.
report::Table DiffTable(const trace::RankAnalysis& a, const trace::RankAnalysis& b);
core::Json DiffJson(const trace::RankAnalysis& a, const trace::RankAnalysis& b);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_TRACE_TABLES_H_
