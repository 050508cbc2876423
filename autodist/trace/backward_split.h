// dgrad and wgrad are launched by one backward call of a layer: the layout of their GEMMs tells
// them apart.
#ifndef AUTODIST_TRACE_BACKWARD_SPLIT_H_
#define AUTODIST_TRACE_BACKWARD_SPLIT_H_

#include "autodist/trace/trace.h"

namespace autodist::trace {

// The order in which a window's work was given to the device.
inline int64_t LaunchOrStart(const DeviceEvent& event) {
  return event.launch_ns == kNoLaunch ? event.start_ns : event.launch_ns;
}

// Splits the backward windows of single layers, as attribution.h says. New windows
// are appended; events keep their order.
void SplitBackward(Trace& trace);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_BACKWARD_SPLIT_H_
