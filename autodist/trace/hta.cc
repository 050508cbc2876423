#include "autodist/trace/hta.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "autodist/trace/intervals.h"

namespace autodist::trace {
namespace {

enum class HtaClass { kComm, kMemory, kCompute };

// HTA: comm `(^nccl.*)|(^hip)|(^hccl)|(.*ncclKernel.*)`, memory
// `(^(hip)?Memcpy)|(^(hip)?Memset)|(^dma)`.
HtaClass ClassOf(std::string_view name) {
  if (name.starts_with("nccl") || name.starts_with("hip") || name.starts_with("hccl") ||
      name.find("ncclKernel") != name.npos)
    return HtaClass::kComm;
  if (name.starts_with("Memcpy") || name.starts_with("Memset") || name.starts_with("dma"))
    return HtaClass::kMemory;
  return HtaClass::kCompute;
}

int64_t Floor(int64_t ns) { return ns >= 0 ? ns / 1000 : -((-ns + 999) / 1000); }
int64_t Ceil(int64_t ns) { return -Floor(-ns); }

// The length of a union as HTA sums it. A kernel that lies within one microsecond is rounded to a
// length of 0 or -1, and counts so where nothing runs beside it.
class MergedLength {
 public:
  // REQUIRES starts that do not fall.
  void Add(const Interval& interval) {
    if (length_us_ && interval.start_ns <= end_us_) {
      *length_us_ += std::max<int64_t>(0, interval.end_ns - end_us_);
      end_us_ = std::max(end_us_, interval.end_ns);
    } else {
      length_us_ = length_us_.value_or(0) + interval.end_ns - interval.start_ns;
      end_us_ = interval.end_ns;
    }
  }
  int64_t length_us() const { return length_us_.value_or(0); }

 private:
  std::optional<int64_t> length_us_;
  int64_t end_us_ = 0;
};

}  // namespace

double HtaBreakdown::overlap_percent() const {
  return comm_us == 0 ? 0 : 100.0 * static_cast<double>(overlap_us) / static_cast<double>(comm_us);
}

bool HtaCounts(const Trace& trace, const DeviceEvent& event, bool include_last_step) {
  if (trace.streams[event.stream].id < 0) return false;
  if (trace.steps.size() < 2) return true;
  if (event.launch_ns == kNoLaunch) return false;
  const Step& last = trace.steps.back();
  return include_last_step ? event.launch_ns <= last.end_ns : event.launch_ns < last.start_ns;
}

HtaBreakdown MeasureHta(const Trace& trace, bool include_last_step) {
  std::vector<HtaClass> classes;
  for (const KernelName& name : trace.names) classes.push_back(ClassOf(name.text));
  // Rounding keeps the order of starts.
  std::array<IntervalSet, 3> sets;
  std::array<MergedLength, 3> lengths;
  MergedLength busy;
  HtaBreakdown result;
  bool first = true;
  int64_t start_us = 0;
  int64_t end_us = 0;
  for (const DeviceEvent& event : trace.events) {
    if (!HtaCounts(trace, event, include_last_step)) continue;
    const Interval rounded{Ceil(event.start_ns), Floor(event.end_ns)};
    sets[static_cast<size_t>(classes[event.name])].Add(rounded);
    lengths[static_cast<size_t>(classes[event.name])].Add(rounded);
    busy.Add(rounded);
    start_us = first ? rounded.start_ns : std::min(start_us, rounded.start_ns);
    end_us = first ? rounded.end_ns : std::max(end_us, rounded.end_ns);
    first = false;
  }
  const IntervalSet& comm = sets[static_cast<size_t>(HtaClass::kComm)];
  const IntervalSet& compute = sets[static_cast<size_t>(HtaClass::kCompute)];
  result.kernel_time_us = end_us - start_us;
  result.idle_us = result.kernel_time_us - busy.length_us();
  result.compute_us = lengths[static_cast<size_t>(HtaClass::kCompute)].length_us();
  result.non_compute_us = result.kernel_time_us - result.idle_us - result.compute_us;
  result.comm_us = comm.Length();
  result.overlap_us = Intersection(comm, compute).Length();
  return result;
}

}  // namespace autodist::trace
