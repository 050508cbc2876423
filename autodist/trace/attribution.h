// From launches and ranges to steps, operators and passes.
#ifndef AUTODIST_TRACE_ATTRIBUTION_H_
#define AUTODIST_TRACE_ATTRIBUTION_H_

#include <string>
#include <string_view>

#include "autodist/trace/raw_trace.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {

// What the name of a range tells.
struct RangeMeaning {
  std::string op =
      {};  // "" where it names none: "ProfilerStep#3", "nccl:all_reduce", "## forward ##"
  bool is_linear = false;  // op is one of qkv, proj, fc1, fc2
  Pass pass = Pass::kNone;
};

// Words are what stands between '_', '.', ':', '/', '#', spaces and brackets. A word that is a pass
// (fprop, forward, fwd; dgrad; wgrad; backward, bprop, bwd; any case) gives the pass; a word qkv,
// proj, fc1 or fc2 the operator; without one, the operator is the name, less a pass at its begin or
// end.
RangeMeaning MeaningOf(std::string_view range_name);

// Gives every event its launch, step and window, and the trace its steps, operators and windows:
//
//  1. The launch is the host call with the event's correlation id; the step the ProfilerStep#N that
//     the launch began in, on whatever thread.
//  2. The operator is named by the innermost range around the launch, on the thread that launched,
//     that names one; a range that names qkv, proj, fc1 or fc2 wins over others inside it.
//  3. The autograd engine's threads have no such ranges: their launches belong to the range around
//     the forward operator with the same sequence number, else to the range that the thread of
//     the profiler steps is in at that moment.
//     Where nothing names an operator, a range that names a pass alone stands for one.
//  4. The pass is the innermost that a range names; else backward inside of autograd's ranges, and
//     forward in modules and in qkv, proj, fc1 and fc2.
//  5. Launches of CUDA graphs, and events without launch, belong to the innermost
//     gpu_user_annotation around the event on its stream, else on another stream of its device;
//     graphs without such to what step 2 says.
//
// A window is one such range with one pass. A backward window whose GEMMs all tell their layout,
// first dgrad's (NN) and then wgrad's (NT), as those of one layer do, is split in two: GEMMs by
// layout, bulk all-gathers to dgrad and bulk reduce-scatters to wgrad, everything else to the GEMM
// that was launched before it.
Trace Attribute(RawTrace raw);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_ATTRIBUTION_H_
