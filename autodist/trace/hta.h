// The figures of HolisticTraceAnalysis (github.com/facebookresearch/HolisticTraceAnalysis), by its
// own rules, so that they can be compared: get_comm_comp_overlap and get_temporal_breakdown.
//
// Its rules differ from ours: whole microseconds (starts up, ends down), kernels by another pattern
// (userbuffers, copies between devices and DeepEP are no communication to it), and only events
// launched in the profiler steps.
#ifndef AUTODIST_TRACE_HTA_H_
#define AUTODIST_TRACE_HTA_H_

#include <cstdint>
#include <optional>

#include "autodist/trace/trace.h"

namespace autodist::trace {

struct HtaBreakdown {
  int64_t kernel_time_us = 0;  // last end - first start
  int64_t idle_us = 0;         // kernel_time - |U(all)|
  int64_t compute_us = 0;      // |U(compute)|
  int64_t non_compute_us = 0;  // the rest: memory and communication that nothing computes beside
  int64_t comm_us = 0;         // |U(comm)|
  int64_t overlap_us = 0;      // |U(comm) n U(compute)|

  double overlap_percent() const;  // 100 * overlap / comm; 0 without communication
};

// What HTA looks at: with two or more profiler steps, events whose launch is in the trace and began
// not after the end of the last step, or, without the last step, before it began; otherwise
// all. Streams below 0 are left out.
bool HtaCounts(const Trace& trace, const DeviceEvent& event, bool include_last_step);

HtaBreakdown MeasureHta(const Trace& trace, bool include_last_step);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_HTA_H_
