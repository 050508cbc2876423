#include "autodist/trace/analysis.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

namespace autodist::trace {
namespace {

core::Json ToJson(const std::optional<double>& value) {
  return value ? core::Json(*value) : core::Json(nullptr);
}

std::optional<double> Percent(const std::optional<double>& fraction) {
  if (!fraction) return {};
  return 100 * *fraction;
}

core::Json HtaJson(const HtaBreakdown& hta) {
  // HTA prints two digits.
  const core::Json percent = hta.comm_us == 0
                                 ? core::Json(nullptr)
                                 : core::Json(std::round(hta.overlap_percent() * 100) / 100);
  return {{"overlap_pct", percent},
          {"kernel_time_us", hta.kernel_time_us},
          {"idle_us", hta.idle_us},
          {"compute_us", hta.compute_us},
          {"non_compute_us", hta.non_compute_us},
          {"comm_us", hta.comm_us},
          {"overlap_us", hta.overlap_us}};
}

core::Json AllJson(const OverlapMetrics& all) {
  core::Json json = ToJson(all);
  json["overlap_pct"] = json["hidden_pct"];  // as HTA calls it
  json.erase("hidden_pct");
  json["busy_us"] = Microseconds(all.busy_ns);
  json["idle_us"] = Microseconds(all.idle_ns());
  json["events"] = all.events;
  return json;
}

// The fields that single and merged operators share.
core::Json MetricsJson(const Operator& op, const OverlapMetrics& metrics,
                       const OverlapMetrics* baseline) {
  const AgainstBaseline against =
      baseline == nullptr ? AgainstBaseline() : Compare(metrics, *baseline);
  core::Json json = {
      {"name", op.name},
      {"pass", op.pass == Pass::kNone ? core::Json(nullptr) : core::Json(NameOf(op.pass))}};
  json.update(ToJson(metrics));
  json["gemm_slowdown"] = ToJson(against.gemm_slowdown);
  json["efficiency"] = ToJson(against.efficiency);
  return json;
}

core::Json RankJson(const RankAnalysis& rank, const RankAnalysis* baseline) {
  core::Json operators = core::Json::array();
  for (const OperatorMetrics& op : rank.operators) {
    core::Json entry = MetricsJson(op.op, op.median, FindOperator(baseline, op.op));
    entry["windows"] = op.windows.size();
    entry["streams"] = core::Json::array();
    for (const StreamUse& use : op.streams)
      entry["streams"].push_back({{"device", rank.streams[use.stream].device},
                                  {"stream", rank.streams[use.stream].id},
                                  {"role", RoleOf(use)},
                                  {"busy_us", Microseconds(use.busy_ns)}});
    operators.push_back(std::move(entry));
  }
  return {{"file", rank.file},
          {"rank", rank.rank ? core::Json(*rank.rank) : core::Json(nullptr)},
          {"all", AllJson(rank.all)},
          {"hta",
           {{"include_last", HtaJson(rank.hta_include_last)},
            {"drop_last", HtaJson(rank.hta_drop_last)}}},
          {"operators", std::move(operators)},
          {"unknown_kernels", ToJson(rank.unknown_kernels)},
          {"events_without_launch", rank.events_without_launch},
          {"events_without_operator", rank.events_without_operator}};
}

}  // namespace

double Microseconds(int64_t ns) { return static_cast<double>(ns) / 1000; }

std::vector<KernelTime> KernelTimes(const Trace& trace) { return KernelTimes({&trace, 1}); }

std::vector<KernelTime> KernelTimes(std::span<const Trace> traces) {
  std::map<std::tuple<std::string, EventKind, EventClass>, KernelTime> times;
  for (const Trace& trace : traces) {
    std::vector<KernelTime> own(trace.names.size());
    for (const DeviceEvent& event : trace.events) {
      ++own[event.name].count;
      own[event.name].total_ns += event.end_ns - event.start_ns;
    }
    for (size_t i = 0; i < own.size(); ++i) {
      const KernelName& name = trace.names[i];
      KernelTime& time = times[{name.text, name.kind, name.event_class}];
      time.name = name;
      time.count += own[i].count;
      time.total_ns += own[i].total_ns;
    }
  }
  std::vector<KernelTime> sorted;
  for (auto& [key, time] : times) sorted.push_back(std::move(time));
  std::stable_sort(sorted.begin(), sorted.end(), [](const KernelTime& a, const KernelTime& b) {
    return a.total_ns > b.total_ns;
  });
  return sorted;
}

RankAnalysis Analyze(const Trace& trace) {
  RankAnalysis analysis{.file = trace.file,
                        .rank = trace.rank,
                        .streams = trace.streams,
                        .all = Measure(trace.events),
                        .hta_include_last = MeasureHta(trace, true),
                        .hta_drop_last = MeasureHta(trace, false),
                        .operators = MeasureOperators(trace),
                        .events_without_launch = trace.events_without_launch,
                        .events_without_operator = trace.events_without_operator};
  for (KernelTime& time : KernelTimes(trace))
    if (!time.name.known) analysis.unknown_kernels.push_back(std::move(time));
  return analysis;
}

std::vector<MergedOperator> MergeRanks(std::span<const RankAnalysis> ranks) {
  std::vector<MergedOperator> merged;
  std::map<std::pair<std::string, Pass>, size_t> places;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    for (const OperatorMetrics& op : ranks[rank].operators) {
      const auto [place, added] = places.emplace(std::pair(op.op.name, op.op.pass), merged.size());
      if (added)
        merged.push_back({.op = op.op,
                          .slowest = rank,
                          .metrics = op.median,
                          .fastest_wall_ns = op.median.wall_ns});
      MergedOperator& entry = merged[place->second];
      ++entry.ranks;
      entry.fastest_wall_ns = std::min(entry.fastest_wall_ns, op.median.wall_ns);
      if (op.median.wall_ns > entry.metrics.wall_ns) {
        entry.metrics = op.median;
        entry.slowest = rank;
      }
    }
  }
  return merged;
}

const OverlapMetrics* FindOperator(const RankAnalysis* rank, const Operator& op) {
  if (rank == nullptr) return nullptr;
  for (const OperatorMetrics& candidate : rank->operators)
    if (candidate.op.name == op.name && candidate.op.pass == op.pass) return &candidate.median;
  return nullptr;
}

std::string RoleOf(const StreamUse& use) {
  return std::string(use.direction == CommDirection::kNone ? NameOf(use.event_class)
                                                           : NameOf(use.direction));
}

std::string RankName(const RankAnalysis& rank) {
  return rank.rank ? "rank " + std::to_string(*rank.rank) : "rank unknown";
}

core::Json ToJson(const OverlapMetrics& metrics) {
  return {{"wall_us", Microseconds(metrics.wall_ns)},
          {"gemm_us", Microseconds(metrics.gemm_ns)},
          {"compute_us", Microseconds(metrics.compute_ns)},
          {"comm_us", Microseconds(metrics.comm_ns)},
          {"overlap_us", Microseconds(metrics.overlap_ns)},
          {"exposed_us", Microseconds(metrics.exposed_ns())},
          {"hidden_pct", ToJson(Percent(metrics.hidden()))},
          {"head_us", Microseconds(metrics.head_ns)},
          {"tail_us", Microseconds(metrics.tail_ns)},
          {"reduce_us", Microseconds(metrics.reduce_ns)},
          {"wait_us", Microseconds(metrics.wait_ns)},
          {"overlap_over_shorter", ToJson(metrics.overlap_over_shorter())},
          {"overlap_over_compute", ToJson(metrics.overlap_over_compute())}};
}

core::Json ToJson(std::span<const KernelTime> kernels) {
  core::Json list = core::Json::array();
  for (const KernelTime& kernel : kernels)
    list.push_back({{"name", kernel.name.text},
                    {"class", NameOf(kernel.name.event_class)},
                    {"count", kernel.count},
                    {"total_us", Microseconds(kernel.total_ns)},
                    {"known", kernel.name.known},
                    {"looks_like_communication", kernel.name.looks_like_comm}});
  return list;
}

core::Json ToJson(std::span<const RankAnalysis> ranks, const RankAnalysis* baseline) {
  core::Json list = core::Json::array();
  for (const RankAnalysis& rank : ranks) list.push_back(RankJson(rank, baseline));
  core::Json merged = core::Json::array();
  for (const MergedOperator& op : MergeRanks(ranks)) {
    core::Json entry = MetricsJson(op.op, op.metrics, FindOperator(baseline, op.op));
    entry["ranks"] = op.ranks;
    entry["slowest_file"] = ranks[op.slowest].file;
    entry["fastest_wall_us"] = Microseconds(op.fastest_wall_ns);
    merged.push_back(std::move(entry));
  }
  return {{"ranks", std::move(list)},
          {"baseline", baseline == nullptr ? core::Json(nullptr) : core::Json(baseline->file)},
          {"operators", std::move(merged)}};
}

}  // namespace autodist::trace
