// Trace-event JSON, as ui.perfetto.dev and chrome://tracing read it
// (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): complete
// events
// ("ph": "X") on the threads of processes.
#ifndef AUTODIST_CORE_TRACE_WRITER_H_
#define AUTODIST_CORE_TRACE_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "autodist/core/file.h"

namespace autodist::core {

// Writes as it goes: memory does not grow with the number of events. Thread-compatible.
class TraceWriter {
 public:
  // An event on thread `tid` of process `pid`. Events of one thread must nest.
  struct Event {
    int pid = 0;
    int tid = 0;
    std::string_view name = {};
    std::string_view category = {};
    int64_t start_ns = 0;
    int64_t duration_ns = 0;
  };
  using Argument = std::pair<std::string_view, double>;

  // Throws core::Error (bad input) when the file cannot be created.
  explicit TraceWriter(const std::filesystem::path& path);

  // Processes are listed in the order of their ids.
  void NameProcess(int pid, std::string_view name);
  void NameThread(int pid, int tid, std::string_view name);
  // Arguments that are not finite are left out.
  void Add(const Event& event, std::initializer_list<Argument> arguments);
  // The file is there, whole; before that there is none. Throws core::Error (runtime).
  void Commit();

 private:
  void Append(std::string_view event);

  AtomicFile file_;
  std::string buffer_;
  bool first_ = true;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_TRACE_WRITER_H_
