#include "autodist/core/trace_writer.h"

#include <fmt/format.h>

#include <cmath>

#include "autodist/core/json.h"

namespace autodist::core {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

std::string Quoted(std::string_view text) { return DumpJson(Json(text)); }

// The format counts microseconds.
double Micro(int64_t ns) { return static_cast<double>(ns) / 1e3; }

}  // namespace

TraceWriter::TraceWriter(const std::filesystem::path& path) : file_(path) {
  buffer_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
}

void TraceWriter::NameProcess(int pid, std::string_view name) {
  Append(fmt::format(R"({{"name":"process_name","ph":"M","pid":{},"args":{{"name":{}}}}})", pid,
                     Quoted(name)));
  Append(fmt::format(R"({{"name":"process_sort_index","ph":"M","pid":{0},"args":)"
                     R"({{"sort_index":{0}}}}})",
                     pid));
}

void TraceWriter::NameThread(int pid, int tid, std::string_view name) {
  Append(fmt::format(R"({{"name":"thread_name","ph":"M","pid":{},"tid":{},"args":{{"name":{}}}}})",
                     pid, tid, Quoted(name)));
}

void TraceWriter::Add(const Event& event, std::initializer_list<Argument> arguments) {
  std::string args;
  for (const auto& [name, value] : arguments) {
    // JSON has no infinities; counts are printed without exponent.
    if (!std::isfinite(value)) continue;
    args += fmt::format("{}{}:{}", args.empty() ? "" : ",", Quoted(name),
                        value == std::floor(value) && std::abs(value) < 1e15
                            ? fmt::format("{:.0f}", value)
                            : fmt::format("{}", value));
  }
  Append(fmt::format(
      R"({{"name":{},"cat":{},"ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})",
      Quoted(event.name), Quoted(event.category), event.pid, event.tid, Micro(event.start_ns),
      Micro(event.duration_ns), args));
}

void TraceWriter::Append(std::string_view event) {
  buffer_ += first_ ? "\n" : ",\n";
  buffer_ += event;
  first_ = false;
  if (buffer_.size() < kBufferBytes) return;
  file_.Write(buffer_);
  buffer_.clear();
}

void TraceWriter::Commit() {
  buffer_ += "\n]}\n";
  file_.Write(buffer_);
  file_.Commit();
}

}  // namespace autodist::core
