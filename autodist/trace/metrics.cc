#include "autodist/trace/metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "autodist/trace/intervals.h"

namespace autodist::trace {
namespace {

std::optional<double> Ratio(int64_t a, int64_t b) {
  if (b == 0) return {};
  return static_cast<double>(a) / static_cast<double>(b);
}

bool StartsBefore(const DeviceEvent& a, const DeviceEvent& b) { return a.start_ns < b.start_ns; }

// The lower one of the two in the middle.
int64_t Median(std::vector<int64_t> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() - 1) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

OverlapMetrics MedianOf(const std::vector<WindowMetrics>& windows) {
  OverlapMetrics median;
  for (int64_t OverlapMetrics::*field :
       {&OverlapMetrics::wall_ns, &OverlapMetrics::busy_ns, &OverlapMetrics::gemm_ns,
        &OverlapMetrics::compute_ns, &OverlapMetrics::comm_ns, &OverlapMetrics::overlap_ns,
        &OverlapMetrics::head_ns, &OverlapMetrics::tail_ns, &OverlapMetrics::reduce_ns,
        &OverlapMetrics::wait_ns, &OverlapMetrics::events}) {
    std::vector<int64_t> values;
    for (const WindowMetrics& window : windows) values.push_back(window.metrics.*field);
    median.*field = Median(std::move(values));
  }
  return median;
}

// What each stream spends its time with.
class StreamTimes {
 public:
  void Add(const Trace& trace, const DeviceEvent& event) {
    times_[event.stream][{event.event_class, trace.name_of(event).direction}] +=
        event.end_ns - event.start_ns;
  }

  // Sorted by device and stream.
  std::vector<StreamUse> Uses(const Trace& trace) const {
    std::vector<StreamUse> uses;
    for (const auto& [stream, times] : times_) {
      StreamUse use{.stream = stream};
      int64_t most_ns = -1;
      for (const auto& [role, ns] : times) {
        use.busy_ns += ns;
        if (ns <= most_ns) continue;
        most_ns = ns;
        std::tie(use.event_class, use.direction) = role;
      }
      uses.push_back(use);
    }
    std::sort(uses.begin(), uses.end(), [&](const StreamUse& a, const StreamUse& b) {
      const Stream& of_a = trace.streams[a.stream];
      const Stream& of_b = trace.streams[b.stream];
      return std::tie(of_a.device, of_a.id) < std::tie(of_b.device, of_b.id);
    });
    return uses;
  }

 private:
  std::map<uint16_t, std::map<std::pair<EventClass, CommDirection>, int64_t>> times_;
};

}  // namespace

std::optional<double> OverlapMetrics::hidden() const { return Ratio(overlap_ns, comm_ns); }

std::optional<double> OverlapMetrics::overlap_over_shorter() const {
  return Ratio(overlap_ns, std::min(gemm_ns, comm_ns));
}

std::optional<double> OverlapMetrics::overlap_over_compute() const {
  return Ratio(overlap_ns, compute_ns);
}

OverlapMetrics Measure(std::span<const DeviceEvent> events) {
  if (!std::is_sorted(events.begin(), events.end(), StartsBefore)) {
    std::vector<DeviceEvent> sorted(events.begin(), events.end());
    std::sort(sorted.begin(), sorted.end(), StartsBefore);
    return Measure(sorted);
  }
  OverlapMetrics metrics{.events = static_cast<int64_t>(events.size())};
  if (events.empty()) return metrics;
  std::array<IntervalSet, kEventClasses> classes;
  IntervalSet compute;
  IntervalSet all;
  int64_t end_ns = events.front().end_ns;
  for (const DeviceEvent& event : events) {
    const Interval interval{event.start_ns, event.end_ns};
    classes[static_cast<size_t>(event.event_class)].Add(interval);
    all.Add(interval);
    end_ns = std::max(end_ns, event.end_ns);
    if (IsCompute(event.event_class)) compute.Add(interval);
  }
  const auto of = [&](EventClass event_class) -> const IntervalSet& {
    return classes[static_cast<size_t>(event_class)];
  };
  const IntervalSet& comm = of(EventClass::kComm);
  const IntervalSet& gemm = of(EventClass::kGemm);
  metrics.wall_ns = end_ns - events.front().start_ns;
  metrics.busy_ns = all.Length();
  metrics.gemm_ns = gemm.Length();
  metrics.compute_ns = compute.Length();
  metrics.comm_ns = comm.Length();
  metrics.overlap_ns = Intersection(comm, compute).Length();
  metrics.reduce_ns = of(EventClass::kCommReduce).Length();
  metrics.wait_ns = of(EventClass::kCommWait).Length();
  if (!gemm.intervals().empty()) {
    metrics.head_ns = comm.LengthWithin(events.front().start_ns, gemm.intervals().front().start_ns);
    metrics.tail_ns = comm.LengthWithin(gemm.intervals().back().end_ns, end_ns);
  }
  return metrics;
}

std::vector<OperatorMetrics> MeasureOperators(const Trace& trace) {
  std::vector<std::vector<DeviceEvent>> events(trace.windows.size());
  for (const DeviceEvent& event : trace.events)
    if (event.window != kNoWindow) events[event.window].push_back(event);
  std::vector<OperatorMetrics> operators;
  std::vector<StreamTimes> streams;
  std::vector<int64_t> place(trace.operators.size(), -1);
  for (uint32_t window = 0; window < trace.windows.size(); ++window) {
    if (events[window].empty()) continue;
    int64_t& at = place[trace.windows[window].op];
    if (at < 0) {
      at = static_cast<int64_t>(operators.size());
      operators.push_back({.op = trace.operators[trace.windows[window].op]});
      streams.emplace_back();
    }
    const auto index = static_cast<size_t>(at);
    operators[index].windows.push_back({window, Measure(events[window])});
    for (const DeviceEvent& event : events[window]) streams[index].Add(trace, event);
  }
  for (size_t i = 0; i < operators.size(); ++i) {
    operators[i].median = MedianOf(operators[i].windows);
    operators[i].streams = streams[i].Uses(trace);
  }
  return operators;
}

AgainstBaseline Compare(const OverlapMetrics& metrics, const OverlapMetrics& baseline) {
  return {.gemm_slowdown = Ratio(metrics.gemm_ns, baseline.gemm_ns),
          .efficiency = Ratio(std::max(baseline.gemm_ns, baseline.comm_ns), metrics.wall_ns)};
}

}  // namespace autodist::trace
