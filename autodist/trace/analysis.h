// The whole of one trace in figures, and several side by side.
#ifndef AUTODIST_TRACE_ANALYSIS_H_
#define AUTODIST_TRACE_ANALYSIS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/trace/hta.h"
#include "autodist/trace/metrics.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {

// One kernel by name (kinds and classes apart).
struct KernelTime {
  KernelName name = {};
  int64_t count = 0;
  int64_t total_ns = 0;  // durations summed, whatever runs beside them
};

// Those that occur, the longest total first.
std::vector<KernelTime> KernelTimes(const Trace& trace);
// Of several traces together.
std::vector<KernelTime> KernelTimes(std::span<const Trace> traces);

struct RankAnalysis {
  std::string file = {};
  std::optional<int64_t> rank = {};
  std::vector<Stream> streams = {};
  OverlapMetrics all = {};
  HtaBreakdown hta_include_last = {};
  HtaBreakdown hta_drop_last = {};
  std::vector<OperatorMetrics> operators = {};
  std::vector<KernelTime> unknown_kernels = {};
  int64_t events_without_launch = 0;
  int64_t events_without_operator = 0;
};

RankAnalysis Analyze(const Trace& trace);

// An operator on all ranks that have it. A tensor-parallel operator ends when its slowest rank
// does.
struct MergedOperator {
  Operator op = {};
  int64_t ranks = 0;
  size_t slowest = 0;           // index of the rank with the largest median wall time
  OverlapMetrics metrics = {};  // its medians
  int64_t fastest_wall_ns = 0;
};

// In the order of first appearance.
std::vector<MergedOperator> MergeRanks(std::span<const RankAnalysis> ranks);

// The operator's medians on that rank, or nullptr: also when `rank` is.
const OverlapMetrics* FindOperator(const RankAnalysis* rank, const Operator& op);

// "rank 3", "rank unknown"
std::string RankName(const RankAnalysis& rank);

// "gemm", "copy-engine", "all-gather", ...: what a stream does most.
std::string RoleOf(const StreamUse& use);

// The document of `trace analyze --json` (docs/json.md). `baseline` may be nullptr.
core::Json ToJson(std::span<const RankAnalysis> ranks, const RankAnalysis* baseline);
core::Json ToJson(std::span<const KernelTime> kernels);
core::Json ToJson(const OverlapMetrics& metrics);  // the fields that all documents share

// ns as decimal microseconds; exact up to 2^53 ns.
double Microseconds(int64_t ns);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_ANALYSIS_H_
