// Real traces against figures computed elsewhere: oracle.csv by exact integer arithmetic, and
// oracle_hta.csv by HolisticTraceAnalysis itself. They
// lie in AUTODIST_SHARED (or ../shared beside the sources) under data/traces; skipped where that
// folder is absent.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "autodist/trace/hta.h"
#include "autodist/trace/metrics.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {
namespace {

namespace fs = std::filesystem;

fs::path SharedTraces() {
  const char* shared = std::getenv("AUTODIST_SHARED");
  return (shared != nullptr ? fs::path(shared) : fs::path(AUTODIST_SOURCE_DIR) / ".." / "shared") /
         "data" / "traces";
}

const fs::path kData = SharedTraces();

using Row = std::map<std::string, std::string>;

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream text(line);
  for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
  return cells;
}

std::vector<Row> ReadCsv(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> header = Cells(line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = Cells(line);
    for (Row& row = rows.emplace_back(); const std::string& cell : cells)
      row[header[row.size()]] = cell;
  }
  return rows;
}

// By the name that the oracles give it: "hta/x.json.gz", "param/x.tar.gz!member".
class ReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kData / "oracle.csv")) GTEST_SKIP() << kData << " is absent";
  }

  const Trace& Find(const std::string& name) {
    if (!traces_.contains(name)) {
      const fs::path file = kData / name.substr(0, name.find('!'));
      for (Trace& trace : ReadTraces({file}, Classifier())) {
        const std::string full = trace.file.substr(kData.string().size() + 1);
        const size_t slash = full.rfind('/');
        const size_t mark = full.find('!');
        traces_.emplace(
            mark == full.npos ? full : full.substr(0, mark + 1) + full.substr(slash + 1),
            std::move(trace));
      }
    }
    return traces_.at(name);
  }

 private:
  std::map<std::string, Trace> traces_;
};

std::string Microseconds(int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

// The events with HTA's classes, whose pattern finds all communication of these traces.
TEST_F(ReferenceTest, ExactOracle) {
  int rows = 0;
  for (Row& row : ReadCsv(kData / "oracle.csv")) {
    if (row["classifier"] == "hta_head_rounded_us") continue;  // below
    const Trace& trace = Find(row["trace"]);
    SCOPED_TRACE(fmt::format("{} {} {}", row["trace"], row["window"], row["classifier"]));
    std::vector<DeviceEvent> events;
    std::array<int64_t, kEventClasses> counts = {};
    for (const DeviceEvent& event : trace.events) {
      if (row["window"] != "all" &&
          !HtaCounts(trace, event, row["window"] == "hta_include_last_step"))
        continue;
      ++counts[static_cast<size_t>(event.event_class)];
      events.push_back(event);
    }
    const auto count = [&](EventClass event_class) {
      return std::to_string(counts[static_cast<size_t>(event_class)]);
    };
    EXPECT_EQ(std::to_string(events.size()), row["gpu_events"]);
    EXPECT_EQ(std::to_string(trace.steps.size()), row["profiler_steps"]);
    EXPECT_EQ(count(EventClass::kComm), row["comm_events"]);
    EXPECT_EQ(count(EventClass::kMemory), row["mem_events"]);
    EXPECT_EQ(count(EventClass::kCommWait), row["wait_or_other_events"]);
    const OverlapMetrics metrics = Measure(events);
    EXPECT_EQ(Microseconds(metrics.comm_ns), row["comm_us"]);
    EXPECT_EQ(Microseconds(metrics.compute_ns), row["comp_us"]);
    EXPECT_EQ(Microseconds(metrics.overlap_ns), row["overlap_us"]);
    EXPECT_EQ(Microseconds(metrics.exposed_ns()), row["exposed_us"]);
    EXPECT_EQ(Microseconds(metrics.busy_ns), row["busy_us"]);
    EXPECT_EQ(Microseconds(metrics.wall_ns), row["span_us"]);
    EXPECT_EQ(Microseconds(metrics.idle_ns()), row["idle_us"]);
    EXPECT_EQ(fmt::format("{:.2f}", 100 * metrics.hidden().value()), row["overlap_pct"]);
    ++rows;
  }
  EXPECT_GT(rows, 70);
}

TEST_F(ReferenceTest, RoundedOracle) {
  int rows = 0;
  for (Row& row : ReadCsv(kData / "oracle.csv")) {
    if (row["classifier"] != "hta_head_rounded_us" || row["window"] == "all") continue;
    SCOPED_TRACE(fmt::format("{} {}", row["trace"], row["window"]));
    const HtaBreakdown hta =
        MeasureHta(Find(row["trace"]), row["window"] == "hta_include_last_step");
    EXPECT_EQ(fmt::format("{}.000", hta.comm_us), row["comm_us"]);
    EXPECT_EQ(fmt::format("{}.000", hta.compute_us), row["comp_us"]);
    EXPECT_EQ(fmt::format("{}.000", hta.overlap_us), row["overlap_us"]);
    EXPECT_EQ(fmt::format("{}.000", hta.kernel_time_us), row["span_us"]);
    EXPECT_EQ(fmt::format("{}.000", hta.idle_us), row["idle_us"]);
    ++rows;
  }
  EXPECT_GE(rows, 4);
}

TEST_F(ReferenceTest, HtaItself) {
  int rows = 0;
  for (Row& row : ReadCsv(kData / "oracle_hta.csv")) {
    const bool include_last = row["include_last_profiler_step"] == "1";
    // HTA takes the last step of this trace from the device's projection, where it is none: it
    // drops nothing.
    if (row["trace"].starts_with("tracelens/mi300") && !include_last) continue;
    SCOPED_TRACE(fmt::format("{} {} {}", row["trace"], row["hta_version"], include_last));
    const HtaBreakdown hta = MeasureHta(Find(row["trace"]), include_last);
    EXPECT_EQ(fmt::format("{:.2f}", hta.overlap_percent()), row["overlap_pct"]);
    EXPECT_EQ(fmt::format("{}.00", hta.kernel_time_us), row["kernel_time_us"]);
    EXPECT_EQ(fmt::format("{}.00", hta.idle_us), row["idle_us"]);
    EXPECT_EQ(fmt::format("{}.00", hta.compute_us), row["compute_us"]);
    EXPECT_EQ(fmt::format("{}.00", hta.non_compute_us), row["non_compute_us"]);
    ++rows;
  }
  EXPECT_EQ(rows, 46);
}

}  // namespace
}  // namespace autodist::trace
