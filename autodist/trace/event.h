// What a profiler trace says about one device: its events, and where they belong.
#ifndef AUTODIST_TRACE_EVENT_H_
#define AUTODIST_TRACE_EVENT_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace autodist::trace {

// What a kernel or copy does, by its name (classifier.h).
enum class EventClass : uint8_t {
  kComm,        // moves data between devices
  kCommWait,    // waits for or signals a peer; no communication time
  kCommReduce,  // sums what a ring brought: neither hides communication nor is it
  kGemm,
  kAttention,
  kCompute,  // every other kernel
  kMemory,   // copies inside a device or to the host, memset
};
inline constexpr int kEventClasses = 7;
std::string_view NameOf(EventClass event_class);  // "comm", "comm_wait", ...

// Work that communication can hide behind: GEMMs, attention and other kernels.
constexpr bool IsCompute(EventClass event_class) {
  return event_class == EventClass::kGemm || event_class == EventClass::kAttention ||
         event_class == EventClass::kCompute;
}

// What a kernel that communicates or signals does, as far as its name tells.
enum class CommDirection : uint8_t {
  kNone,
  kAllGather,
  kReduceScatter,
  kAllReduce,
  kSend,
  kReceive,
  kCopy
};
std::string_view NameOf(CommDirection direction);  // "all-gather", ..., "copy-engine"; "" for kNone

// The category of the trace that an event came from.
enum class EventKind : uint8_t { kKernel, kMemcpy, kMemset };

// Part of a training step. kBackward: dgrad or wgrad, not known which.
enum class Pass : uint8_t { kNone, kForward, kBackward, kDgrad, kWgrad };
std::string_view NameOf(Pass pass);  // "", "fprop", "backward", "dgrad", "wgrad"

inline constexpr int64_t kNoLaunch = std::numeric_limits<int64_t>::min();
inline constexpr uint16_t kNoStep = std::numeric_limits<uint16_t>::max();
inline constexpr uint32_t kNoWindow = std::numeric_limits<uint32_t>::max();

// One kernel, copy or memset. Times are nanoseconds of the trace's clock, [start, end).
struct DeviceEvent {
  int64_t start_ns = 0;
  int64_t end_ns = 0;             // >= start_ns
  int64_t launch_ns = kNoLaunch;  // when the host call with the same correlation id began
  uint32_t name = 0;              // index into Trace::names
  uint32_t window = kNoWindow;    // index into Trace::windows
  uint16_t stream = 0;            // index into Trace::streams
  uint16_t step = kNoStep;        // index into Trace::steps
  EventClass event_class = EventClass::kCompute;
};
static_assert(sizeof(DeviceEvent) <= 40, "the reader promises 40 bytes per device event");

// Distinct by text, kind and rule: a kernel may be data or signal, depending on its launch.
struct KernelName {
  std::string text;
  EventKind kind = EventKind::kKernel;
  EventClass event_class = EventClass::kCompute;
  CommDirection direction = CommDirection::kNone;
  bool known = true;             // a rule names it; false: it is compute for lack of any
  bool looks_like_comm = false;  // of unknown ones: worth a look, and perhaps a rule
};

struct Stream {
  int64_t device = 0;
  int64_t id = 0;
};

// A "ProfilerStep#N" of the host.
struct Step {
  int64_t number = 0;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
};

// A named range with a pass, e.g. {"fc1", kForward}; without a name, all that a pass holds.
struct Operator {
  std::string name;
  Pass pass = Pass::kNone;
};

// "fc1_fprop"; the name alone where the pass is kNone, the pass alone where there is no name.
std::string Label(const Operator& op);

// One execution of an operator: what was launched inside one range of the host.
struct Window {
  uint32_t op = 0;  // index into Trace::operators
  uint16_t step = kNoStep;
};

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_EVENT_H_
