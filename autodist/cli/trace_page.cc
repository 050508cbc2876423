#include "autodist/cli/trace_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "autodist/cli/trace_tables.h"
#include "autodist/trace/intervals.h"

namespace autodist::cli {
namespace {

// A browser stays quick up to about this many rectangles in a picture.
constexpr size_t kMaxSpans = 4000;
constexpr size_t kMaxLabelBytes = 160;
constexpr std::string_view kExposedColour = "#d62728";

std::string_view ColourOf(trace::EventClass event_class) {
  using enum trace::EventClass;
  switch (event_class) {
    case kComm:
      return "#f2a93b";
    case kCommWait:
      return "#d9d9d9";
    case kCommReduce:
      return "#9467bd";
    case kGemm:
      return "#2c6fbb";
    case kAttention:
      return "#17a398";
    case kCompute:
      return "#8fb8de";
    case kMemory:
      return "#b08d57";
  }
  return "#000";
}

std::vector<report::TimelineColour> Legend() {
  std::vector<report::TimelineColour> legend = {
      {"exposed communication", std::string(kExposedColour)}};
  for (int i = 0; i < trace::kEventClasses; ++i) {
    const auto event_class = static_cast<trace::EventClass>(i);
    legend.push_back({std::string(NameOf(event_class)), std::string(ColourOf(event_class))});
  }
  return legend;
}

// The execution whose wall time is the median.
uint32_t MedianWindow(const trace::OperatorMetrics& op) {
  for (const trace::WindowMetrics& window : op.windows)
    if (window.metrics.wall_ns == op.median.wall_ns) return window.window;
  return op.windows.front().window;
}

std::vector<trace::DeviceEvent> EventsOf(const trace::Trace& trace, uint32_t window) {
  std::vector<trace::DeviceEvent> events;
  for (const trace::DeviceEvent& event : trace.events)
    if (event.window == window) events.push_back(event);
  return events;
}

report::Timeline TimelineOf(const trace::Trace& trace, const trace::RankAnalysis& rank,
                            const trace::OperatorMetrics& op,
                            const std::vector<trace::DeviceEvent>& events) {
  const int64_t origin_ns = events.front().start_ns;
  report::Timeline timeline{.title = Label(op.op), .legend = Legend()};
  timeline.lanes.push_back(ExposedLane(events, origin_ns));
  std::map<uint16_t, size_t> lanes;  // of a stream
  for (const trace::StreamUse& use : op.streams) {
    lanes[use.stream] = timeline.lanes.size();
    timeline.lanes.push_back(
        {.name = fmt::format("stream {}: {}", rank.streams[use.stream].id, trace::RoleOf(use))});
  }
  for (size_t i = 0; i < std::min(events.size(), kMaxSpans); ++i)
    timeline.lanes[lanes.at(events[i].stream)].spans.push_back(
        {.start_us = trace::Microseconds(events[i].start_ns - origin_ns),
         .end_us = trace::Microseconds(events[i].end_ns - origin_ns),
         .colour = std::string(ColourOf(events[i].event_class)),
         .label = trace.name_of(events[i]).text.substr(0, kMaxLabelBytes)});
  if (events.size() > kMaxSpans)
    timeline.title += fmt::format(" (the first {} of {} events)", kMaxSpans, events.size());
  return timeline;
}

std::string SummaryOf(const trace::RankAnalysis& rank, const trace::OverlapMetrics& metrics) {
  const std::string hidden = metrics.hidden()
                                 ? fmt::format("{:.1f} % of it hidden", 100 * *metrics.hidden())
                                 : "no communication";
  return fmt::format(
      "{}: wall {:.1f} us, GEMM {:.1f} us, communication {:.1f} us, {}, {:.1f} us exposed.",
      rank.rank ? trace::RankName(rank) : rank.file, trace::Microseconds(metrics.wall_ns),
      trace::Microseconds(metrics.gemm_ns), trace::Microseconds(metrics.comm_ns), hidden,
      trace::Microseconds(metrics.exposed_ns()));
}

}  // namespace

report::TimelineLane ExposedLane(const std::vector<trace::DeviceEvent>& events, int64_t origin_ns) {
  trace::IntervalSet comm;
  trace::IntervalSet compute;
  for (const trace::DeviceEvent& event : events) {
    const trace::Interval interval{event.start_ns, event.end_ns};
    if (event.event_class == trace::EventClass::kComm) comm.Add(interval);
    if (IsCompute(event.event_class)) compute.Add(interval);
  }
  report::TimelineLane lane{.name = "exposed communication"};
  const trace::IntervalSet exposed = Difference(comm, compute);
  for (const trace::Interval& interval : exposed.intervals())
    lane.spans.push_back({.start_us = trace::Microseconds(interval.start_ns - origin_ns),
                          .end_us = trace::Microseconds(interval.end_ns - origin_ns),
                          .colour = std::string(kExposedColour),
                          .label = "exposed communication"});
  return lane;
}

report::Page TracePage(std::span<const trace::Trace> traces,
                       std::span<const trace::RankAnalysis> ranks,
                       const trace::RankAnalysis* baseline) {
  report::Page page("Communication and computation");
  for (const trace::RankAnalysis& rank : ranks) {
    page.AddHeading(trace::RankName(rank));
    page.AddParagraph(rank.file);
    page.AddTable(OperatorTable(rank, baseline));
  }
  if (ranks.size() > 1) {
    page.AddHeading("All ranks: each operator as on its slowest");
    page.AddTable(MergedTable(ranks, baseline));
  }
  page.AddHeading("Operators over time");
  page.AddParagraph(
      "The median run of each operator on its slowest rank. Wheel: zoom. Drag: move. Double click: "
      "show all. Point at a bar for its kernel.");
  for (const trace::MergedOperator& merged : trace::MergeRanks(ranks)) {
    const trace::RankAnalysis& rank = ranks[merged.slowest];
    for (const trace::OperatorMetrics& op : rank.operators) {
      if (op.op.name != merged.op.name || op.op.pass != merged.op.pass) continue;
      const trace::Trace& trace = traces[merged.slowest];
      const std::vector<trace::DeviceEvent> events = EventsOf(trace, MedianWindow(op));
      page.AddTimeline(TimelineOf(trace, rank, op, events));
      page.AddParagraph(SummaryOf(rank, trace::Measure(events)));
    }
  }
  return page;
}

}  // namespace autodist::cli
