// The page of `autodist trace analyze --html`.
#ifndef AUTODIST_CLI_TRACE_PAGE_H_
#define AUTODIST_CLI_TRACE_PAGE_H_

#include <span>

#include "autodist/report/page.h"
#include "autodist/trace/analysis.h"
#include "autodist/trace/trace.h"

namespace autodist::cli {

// The tables, and per operator a timeline of its median window on its slowest rank: a lane per
// stream, and on top the communication that nothing hides, in red. `ranks` are the analyses of
// `traces`; `baseline` may be nullptr.
report::Page TracePage(std::span<const trace::Trace> traces,
                       std::span<const trace::RankAnalysis> ranks,
                       const trace::RankAnalysis* baseline);

// Exposed communication of a set of events: what of it no GEMM, attention or other kernel covers.
report::TimelineLane ExposedLane(const std::vector<trace::DeviceEvent>& events, int64_t origin_ns);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_TRACE_PAGE_H_
