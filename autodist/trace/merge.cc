#include "autodist/trace/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "autodist/core/trace_writer.h"

namespace autodist::trace {
namespace {

constexpr int kFirstOperatorThread = 1'000'000;  // behind all streams

std::string_view CategoryOf(EventKind kind) {
  if (kind == EventKind::kMemcpy) return "gpu_memcpy";
  return kind == EventKind::kMemset ? "gpu_memset" : "kernel";
}

void WriteEvents(const Trace& trace, int pid, int64_t shift_ns, core::TraceWriter& writer) {
  for (size_t i = 0; i < trace.streams.size(); ++i)
    writer.NameThread(
        pid, static_cast<int>(i),
        fmt::format("device {} stream {}", trace.streams[i].device, trace.streams[i].id));
  for (const DeviceEvent& event : trace.events) {
    const KernelName& name = trace.name_of(event);
    writer.Add({.pid = pid,
                .tid = event.stream,
                .name = name.text,
                .category = CategoryOf(name.kind),
                .start_ns = event.start_ns + shift_ns,
                .duration_ns = event.end_ns - event.start_ns},
               {});
  }
}

// As annotations of the device, by which a reader finds the operators again.
void WriteWindows(const Trace& trace, int pid, int64_t shift_ns, core::TraceWriter& writer) {
  struct Extent {
    int64_t start_ns = std::numeric_limits<int64_t>::max();
    int64_t end_ns = std::numeric_limits<int64_t>::min();
  };
  std::vector<Extent> extents(trace.windows.size());
  for (const DeviceEvent& event : trace.events) {
    if (event.window == kNoWindow) continue;
    Extent& extent = extents[event.window];
    extent.start_ns = std::min(extent.start_ns, event.start_ns);
    extent.end_ns = std::max(extent.end_ns, event.end_ns);
  }
  for (size_t i = 0; i < trace.operators.size(); ++i)
    writer.NameThread(pid, kFirstOperatorThread + static_cast<int>(i), Label(trace.operators[i]));
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i].start_ns > extents[i].end_ns) continue;
    const uint32_t op = trace.windows[i].op;
    const std::string label = Label(trace.operators[op]);
    writer.Add({.pid = pid,
                .tid = kFirstOperatorThread + static_cast<int>(op),
                .name = label,
                .category = "gpu_user_annotation",
                .start_ns = extents[i].start_ns + shift_ns,
                .duration_ns = extents[i].end_ns - extents[i].start_ns},
               {});
  }
}

}  // namespace

void WriteMerged(std::span<const Trace> traces, const std::filesystem::path& path) {
  int64_t origin_ns = std::numeric_limits<int64_t>::max();
  for (const Trace& trace : traces)
    if (!trace.events.empty())
      origin_ns = std::min(origin_ns, trace.base_time_ns + trace.events.front().start_ns);
  core::TraceWriter writer(path);
  for (size_t i = 0; i < traces.size(); ++i) {
    const Trace& trace = traces[i];
    const int pid = static_cast<int>(trace.rank.value_or(static_cast<int64_t>(i)));
    const int64_t shift_ns = trace.base_time_ns - origin_ns;
    writer.NameProcess(pid, fmt::format("rank {}", pid));
    WriteEvents(trace, pid, shift_ns, writer);
    WriteWindows(trace, pid, shift_ns, writer);
  }
  writer.Commit();
}

}  // namespace autodist::trace
