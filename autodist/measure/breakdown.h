// Where the time of a phase goes: per kind of operation, beside what the machine allows.
#ifndef AUTODIST_MEASURE_BREAKDOWN_H_
#define AUTODIST_MEASURE_BREAKDOWN_H_

#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/device/op_log.h"

namespace autodist::measure {

// What the machine can do; both of all threads of all ranks together.
struct Limits {
  double read_bytes_per_s = 0;
  double gemm_flops_per_s = 0;
};

// All operations of one kind in one step of a phase.
struct BreakdownRow {
  std::string name;    // of the OpKind; the last row is "other": the wall time less the others
  double seconds = 0;  // mean over the ranks
  double bytes = 0;    // all ranks together
  double flops = 0;    // all ranks together
  double limit_s = 0;  // max(bytes / read rate, flops / GEMM rate); 0: nothing to move
  // Of the limit that was reached; above 1 when operands came from caches.
  double fraction() const { return seconds > 0 ? limit_s / seconds : 0; }
};

struct PhaseBreakdown {
  double step_s = 0;               // wall time, mean over the ranks
  std::vector<BreakdownRow> rows;  // one for each of OpKind but kGroup, in its order, and "other"
};

// Of `steps` steps of `phase`. `ranks`: the totals of each rank, at least one.
PhaseBreakdown BreakDown(const std::vector<device::OpTotals>& ranks, device::OpPhase phase,
                         double steps, const Limits& limits);

// Row by row and column by column the medians. REQUIRES at least one sample.
PhaseBreakdown MedianOf(const std::vector<PhaseBreakdown>& samples);

// An entry of "phases" of `bench --json` (docs/json.md).
core::Json ToJson(const PhaseBreakdown& breakdown);
// A table of the rows that did anything.
std::string ToText(const PhaseBreakdown& breakdown);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_BREAKDOWN_H_
