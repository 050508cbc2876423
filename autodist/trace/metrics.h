// How much communication hides behind computation: measured on the intervals of events.
//
// |U(x)| is the length of the union of the intervals of class x over all streams, U(compute) that
// of all for which IsCompute() holds. Waits and reductions (kCommWait, kCommReduce) are neither
// communication nor computation: they count in wall and busy only.
#ifndef AUTODIST_TRACE_METRICS_H_
#define AUTODIST_TRACE_METRICS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "autodist/trace/event.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {

struct OverlapMetrics {
  int64_t wall_ns = 0;     // last end - first start
  int64_t busy_ns = 0;     // |U(everything)|
  int64_t gemm_ns = 0;     // |U(gemm)|
  int64_t compute_ns = 0;  // |U(compute)|
  int64_t comm_ns = 0;     // |U(comm)|
  int64_t overlap_ns = 0;  // |U(comm) n U(compute)|
  int64_t head_ns = 0;     // of U(comm): before the first GEMM begins
  int64_t tail_ns = 0;     // of U(comm): after the last GEMM ends
  int64_t reduce_ns = 0;   // |U(kCommReduce)|
  int64_t wait_ns = 0;     // |U(kCommWait)|
  int64_t events = 0;

  int64_t exposed_ns() const { return comm_ns - overlap_ns; }
  int64_t idle_ns() const { return wall_ns - busy_ns; }
  // 1 - exposed / comm; nothing where there is no communication.
  std::optional<double> hidden() const;
  // The ratios that other tuners look at, overlap / min(gemm, comm) and overlap / compute: a slower
  // product makes them larger, so that nothing here decides by them. Nothing over 0.
  std::optional<double> overlap_over_shorter() const;
  std::optional<double> overlap_over_compute() const;
};

// Over events in any order. Without GEMMs head and tail are 0.
OverlapMetrics Measure(std::span<const DeviceEvent> events);

// One execution of an operator.
struct WindowMetrics {
  uint32_t window = 0;  // index into Trace::windows
  OverlapMetrics metrics;
};

// A stream's part in an operator, all windows together.
struct StreamUse {
  uint16_t stream = 0;  // index into Trace::streams
  // Its most time: gemm, comm, ... and for communication what its kernels do.
  EventClass event_class = EventClass::kCompute;
  CommDirection direction = CommDirection::kNone;
  int64_t busy_ns = 0;
};

struct OperatorMetrics {
  Operator op = {};
  std::vector<WindowMetrics> windows = {};  // in the order of launch; not empty
  // Each figure the median over the windows (the lower one of two), so that the parts need not add
  // up to the whole.
  OverlapMetrics median = {};
  std::vector<StreamUse> streams = {};  // sorted by device and id
};

// One entry per operator of the trace that has device events, in the order of first launch.
std::vector<OperatorMetrics> MeasureOperators(const Trace& trace);

// Against a run of the same operator without overlap (or on one rank): section "metrics" of
// docs/traces.md.
struct AgainstBaseline {
  std::optional<double> gemm_slowdown;  // gemm / baseline gemm
  std::optional<double> efficiency;     // max(baseline gemm, baseline comm) / wall
};
AgainstBaseline Compare(const OverlapMetrics& metrics, const OverlapMetrics& baseline);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_METRICS_H_
