// A profiler trace (PyTorch's Kineto: Chrome trace-event JSON, plain or gzip) in memory: all that
// devices did, and nothing of the host but the ranges that the work was launched from.
//
// Times are integer nanoseconds, read from the text: never through a double. Memory is 40 bytes per
// device event, 16 per launch, and what the names take.
#ifndef AUTODIST_TRACE_TRACE_H_
#define AUTODIST_TRACE_TRACE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "autodist/trace/classifier.h"
#include "autodist/trace/event.h"

namespace autodist::trace {

struct Trace {
  std::string file;                   // as it was named
  std::optional<int64_t> rank;        // distributedInfo.rank
  std::optional<int64_t> world_size;  // distributedInfo.world_size
  int64_t base_time_ns = 0;           // add to every time to compare ranks
  std::vector<KernelName> names;
  std::vector<Stream> streams;      // in the order of appearance
  std::vector<Step> steps;          // in the order of time
  std::vector<Operator> operators;  // distinct
  std::vector<Window> windows;      // in the order of launch
  std::vector<DeviceEvent> events;  // sorted by start
  // What could not be placed: events whose launch is not in the trace, and events that belong to no
  // operator.
  int64_t events_without_launch = 0;
  int64_t events_without_operator = 0;

  const KernelName& name_of(const DeviceEvent& event) const { return names[event.name]; }
};

// How an event finds its window (details in attribution.h): correlation id -> launch on the host ->
// the innermost range around the launch, on the thread that launched. A range is a user_annotation
// (record_function) or an nn.Module call; "fc1_fprop", "fc1.dgrad", "backward fc1" name operator
// and pass. Launches of the autograd engine belong to the module of the forward operator with the
// same sequence number. CUDA graph launches, and events without a launch, fall back to the
// gpu_user_annotation around the event itself.
//
// Reads one file. Throws core::Error (bad input) with file and byte position (counted from 1, in
// the JSON text) for anything that is no trace: a directory, a truncated .gz, broken JSON, nesting
// over 64, a field of the wrong type, a negative duration.
Trace ReadTrace(const std::filesystem::path& path, const Classifier& classifier);

// As above for several files, one per rank, sorted by rank. A .tar or .tar.gz stands for the files
// in it. Throws core::Error when two of them say that they are the same rank.
std::vector<Trace> ReadTraces(const std::vector<std::filesystem::path>& paths,
                              const Classifier& classifier);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_TRACE_H_
