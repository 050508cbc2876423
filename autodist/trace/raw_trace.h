// What the reader hands to attribution.cc: a trace, and the host's side of it.
#ifndef AUTODIST_TRACE_RAW_TRACE_H_
#define AUTODIST_TRACE_RAW_TRACE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autodist/trace/trace.h"

namespace autodist::trace {

inline constexpr int64_t kNoSequence = -1;
inline constexpr uint32_t kNoCorrelation = std::numeric_limits<uint32_t>::max();

// A host call that may have put work on a device.
struct Launch {
  int64_t start_ns = 0;
  uint32_t correlation = 0;
  uint32_t thread : 31 = 0;
  uint32_t is_graph : 1 = 0;  // of a whole CUDA graph: all its kernels share the correlation id
};
static_assert(sizeof(Launch) == 16);

// Where a range came from.
enum class RangeKind : uint8_t { kAnnotation, kModule, kAutograd };

struct Range {
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  int64_t sequence = kNoSequence;  // kAutograd: of the forward operator
  uint32_t lane = 0;               // index of the host thread, or of the stream
  uint32_t name = 0;               // index into RawTrace::range_names
  RangeKind kind = RangeKind::kAnnotation;
};

// A forward operator that autograd numbered.
struct SequencePoint {
  int64_t sequence = 0;
  int64_t start_ns = 0;
  uint32_t thread = 0;
};

struct RawTrace {
  Trace trace;                         // without windows, operators and steps; events unsorted
  std::vector<uint32_t> correlations;  // of trace.events, in their order
  std::vector<Launch> launches;
  std::vector<std::string> range_names;
  std::vector<Range> host_ranges;
  std::vector<Range> device_ranges;
  std::vector<SequencePoint> forward_ops;
};

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_RAW_TRACE_H_
