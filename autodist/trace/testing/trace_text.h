// Traces for tests, written event by event. Times are microseconds as they stand in the JSON.
#ifndef AUTODIST_TRACE_TESTING_TRACE_TEXT_H_
#define AUTODIST_TRACE_TESTING_TRACE_TEXT_H_

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "autodist/trace/reader.h"

namespace autodist::trace {

class TraceText {
 public:
  struct Where {
    int64_t stream = 7;
    int64_t correlation = -1;  // -1: none
    int64_t device = 0;
    std::string_view args = {};  // further ones, e.g. "\"grid\": [1, 1, 1]"
  };

  TraceText& Kernel(std::string_view name, double start, double duration, Where where) {
    return Device("kernel", name, start, duration, where);
  }
  TraceText& Device(std::string_view category, std::string_view name, double start, double duration,
                    Where where) {
    std::string args = fmt::format(R"("device": {}, "stream": {})", where.device, where.stream);
    if (where.correlation >= 0) args += fmt::format(R"(, "correlation": {})", where.correlation);
    if (!where.args.empty()) args += fmt::format(", {}", where.args);
    return Event(category, name, start, duration, where.device, where.stream, args);
  }
  // A host call of 1 us.
  TraceText& Launch(int64_t correlation, double start, int64_t thread = 1,
                    std::string_view name = "cudaLaunchKernel") {
    return Event("cuda_runtime", name, start, 1, 100, thread,
                 fmt::format(R"("correlation": {})", correlation));
  }
  TraceText& Annotation(std::string_view name, double start, double duration, int64_t thread = 1) {
    return Event("user_annotation", name, start, duration, 100, thread, "");
  }
  TraceText& DeviceAnnotation(std::string_view name, double start, double duration,
                              int64_t stream = 7) {
    return Event("gpu_user_annotation", name, start, duration, 0, stream, "");
  }
  TraceText& Module(std::string_view name, double start, double duration, int64_t thread = 1) {
    return Event("python_function", fmt::format("nn.Module: {}", name), start, duration, 100,
                 thread, "");
  }
  TraceText& CpuOp(std::string_view name, double start, double duration, int64_t sequence,
                   int64_t thread, int64_t forward_thread) {
    return Event(
        "cpu_op", name, start, duration, 100, thread,
        fmt::format(R"("Sequence number": {}, "Fwd thread id": {})", sequence, forward_thread));
  }
  TraceText& Event(std::string_view category, std::string_view name, double start, double duration,
                   int64_t pid, int64_t tid, std::string_view args) {
    events_ += fmt::format(
        R"({}{{"ph": "X", "cat": "{}", "name": "{}", "pid": {}, "tid": {}, "ts": {:.3f}, "dur": {:.3f}, "args": {{{}}}}})",
        events_.empty() ? "" : ",\n", category, name, pid, tid, start, duration, args);
    return *this;
  }
  // A field of the document, e.g. "\"distributedInfo\": {\"rank\": 1}".
  TraceText& Field(std::string_view field) {
    fields_ += fmt::format("{}, ", field);
    return *this;
  }

  std::string Json() const {
    return fmt::format("{{{}\"traceEvents\": [\n{}\n]}}\n", fields_, events_);
  }
  Trace Read(const Classifier& classifier = Classifier()) const {
    const std::string text = Json();
    TextBytes bytes(text);
    return ReadTrace(bytes, "test.json", classifier);
  }

 private:
  std::string fields_;
  std::string events_;
};

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_TESTING_TRACE_TEXT_H_
