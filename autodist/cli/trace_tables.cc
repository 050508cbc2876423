#include "autodist/cli/trace_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace autodist::cli {
namespace {

using trace::OverlapMetrics;

constexpr size_t kShownUnknown = 10;
constexpr size_t kShownNameBytes = 100;

std::string Us(int64_t ns) { return fmt::format("{:.1f}", trace::Microseconds(ns)); }

std::string Percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.1f}", 100 * *fraction) : "-";
}

std::string Ratio(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.3f}", *ratio) : "-";
}

std::vector<std::string> MetricHeader(bool with_baseline) {
  std::vector<std::string> header = {"wall us",    "gemm us",  "compute us", "comm us",
                                     "exposed us", "hidden %", "head us",    "tail us"};
  if (with_baseline) header.insert(header.end(), {"gemm slowdown", "efficiency"});
  return header;
}

std::vector<std::string> MetricCells(const OverlapMetrics& m, const OverlapMetrics* baseline,
                                     bool with_baseline) {
  std::vector<std::string> cells = {Us(m.wall_ns), Us(m.gemm_ns),      Us(m.compute_ns),
                                    Us(m.comm_ns), Us(m.exposed_ns()), Percent(m.hidden()),
                                    Us(m.head_ns), Us(m.tail_ns)};
  if (with_baseline) {
    const trace::AgainstBaseline against =
        baseline == nullptr ? trace::AgainstBaseline() : trace::Compare(m, *baseline);
    cells.push_back(Ratio(against.gemm_slowdown));
    cells.push_back(Ratio(against.efficiency));
  }
  return cells;
}

// `front` + metrics + `back`.
template <typename Cells>
std::vector<std::string> Joined(Cells front, const Cells& metrics, const Cells& back = {}) {
  front.insert(front.end(), metrics.begin(), metrics.end());
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

std::string StreamsText(const trace::RankAnalysis& rank, const trace::OperatorMetrics& op) {
  std::string text;
  for (const trace::StreamUse& use : op.streams)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", rank.streams[use.stream].id,
                        trace::RoleOf(use));
  return text;
}

std::string HtaText(std::string_view label, const trace::HtaBreakdown& hta) {
  return fmt::format(
      "HTA, {}: overlap {:.2f} %, kernel time {} us, idle {} us, compute {} us, non-compute {} "
      "us\n",
      label, hta.overlap_percent(), hta.kernel_time_us, hta.idle_us, hta.compute_us,
      hta.non_compute_us);
}

std::string UnknownText(const trace::RankAnalysis& rank) {
  const auto& unknown = rank.unknown_kernels;
  if (unknown.empty()) return "";
  std::string text =
      fmt::format("{} kernels that no rule names count as compute (--rules FILE adds rules):\n",
                  unknown.size());
  for (size_t i = 0; i < std::min(unknown.size(), kShownUnknown); ++i)
    text += fmt::format("  {:>10} us  {}x  {}{}\n", Us(unknown[i].total_ns), unknown[i].count,
                        unknown[i].name.text.substr(0, kShownNameBytes),
                        unknown[i].name.looks_like_comm ? "  <- communication?" : "");
  if (unknown.size() > kShownUnknown)
    text += fmt::format("  and {} more (trace kernels)\n", unknown.size() - kShownUnknown);
  return text;
}

// The rows of a comparison: those of `a`, then those that only `b` has.
struct DiffRow {
  std::string label;
  const OverlapMetrics* a = nullptr;
  const OverlapMetrics* b = nullptr;
};

std::vector<DiffRow> DiffRows(const trace::RankAnalysis& a, const trace::RankAnalysis& b) {
  std::vector<DiffRow> rows = {{"all", &a.all, &b.all}};
  for (const trace::OperatorMetrics& op : a.operators)
    rows.push_back({Label(op.op), &op.median, trace::FindOperator(&b, op.op)});
  for (const trace::OperatorMetrics& op : b.operators)
    if (trace::FindOperator(&a, op.op) == nullptr)
      rows.push_back({Label(op.op), nullptr, &op.median});
  return rows;
}

}  // namespace

report::Table OperatorTable(const trace::RankAnalysis& rank, const trace::RankAnalysis* baseline) {
  const bool with_baseline = baseline != nullptr;
  report::Table table(Joined<std::vector<std::string>>({"operator", "windows"},
                                                       MetricHeader(with_baseline), {"streams"}));
  table.Add(Joined<std::vector<std::string>>(
      {"all", "1"}, MetricCells(rank.all, with_baseline ? &baseline->all : nullptr, with_baseline),
      {""}));
  for (const trace::OperatorMetrics& op : rank.operators)
    table.Add(Joined<std::vector<std::string>>(
        {Label(op.op), std::to_string(op.windows.size())},
        MetricCells(op.median, trace::FindOperator(baseline, op.op), with_baseline),
        {StreamsText(rank, op)}));
  return table;
}

report::Table MergedTable(std::span<const trace::RankAnalysis> ranks,
                          const trace::RankAnalysis* baseline) {
  const bool with_baseline = baseline != nullptr;
  report::Table table(Joined<std::vector<std::string>>(
      {"operator", "ranks", "slowest", "fastest wall us"}, MetricHeader(with_baseline)));
  for (const trace::MergedOperator& op : trace::MergeRanks(ranks))
    table.Add(Joined<std::vector<std::string>>(
        {Label(op.op), std::to_string(op.ranks), RankName(ranks[op.slowest]),
         Us(op.fastest_wall_ns)},
        MetricCells(op.metrics, trace::FindOperator(baseline, op.op), with_baseline)));
  return table;
}

report::Table KernelTable(std::span<const trace::KernelTime> kernels) {
  int64_t sum_ns = 0;
  for (const trace::KernelTime& kernel : kernels) sum_ns += kernel.total_ns;
  report::Table table({"kernel", "class", "rule", "count", "total us", "mean us", "share %"});
  for (const trace::KernelTime& kernel : kernels)
    table.Add({kernel.name.text.substr(0, kShownNameBytes),
               std::string(NameOf(kernel.name.event_class)), kernel.name.known ? "yes" : "none",
               std::to_string(kernel.count), Us(kernel.total_ns),
               Us(kernel.total_ns / std::max<int64_t>(1, kernel.count)),
               Percent(static_cast<double>(kernel.total_ns) /
                       static_cast<double>(std::max<int64_t>(1, sum_ns)))});
  return table;
}

std::string AnalysisText(std::span<const trace::RankAnalysis> ranks,
                         const trace::RankAnalysis* baseline) {
  std::string text;
  for (const trace::RankAnalysis& rank : ranks) {
    text += fmt::format("{}: {}\n{} device events, {} without launch, {} without operator\n",
                        RankName(rank), rank.file, rank.all.events, rank.events_without_launch,
                        rank.events_without_operator);
    text += HtaText("all steps", rank.hta_include_last);
    text += HtaText("without the last step", rank.hta_drop_last);
    text += OperatorTable(rank, baseline).ToText();
    text += UnknownText(rank) + "\n";
  }
  if (ranks.size() > 1)
    text += fmt::format("{} ranks, each operator as on its slowest rank\n", ranks.size()) +
            MergedTable(ranks, baseline).ToText();
  return text;
}

std::string AnalysisCsv(std::span<const trace::RankAnalysis> ranks,
                        const trace::RankAnalysis* baseline) {
  std::optional<report::Table> table;
  for (const trace::RankAnalysis& rank : ranks) {
    const report::Table own = OperatorTable(rank, baseline);
    if (!table) table.emplace(Joined<std::vector<std::string>>({"file", "rank"}, own.header()));
    for (const std::vector<std::string>& row : own.rows())
      table->Add(Joined<std::vector<std::string>>(
          {rank.file, rank.rank ? std::to_string(*rank.rank) : ""}, row));
  }
  return table->ToCsv();
}

report::Table DiffTable(const trace::RankAnalysis& a, const trace::RankAnalysis& b) {
  report::Table table({"operator", "wall us A", "B", "B/A", "gemm us A", "B", "B/A", "comm us A",
                       "B", "B/A", "exposed us A", "B", "hidden % A", "B"});
  for (const DiffRow& row : DiffRows(a, b)) {
    const auto us = [](const OverlapMetrics* side, int64_t OverlapMetrics::*field) {
      return side == nullptr ? std::string("-") : Us(side->*field);
    };
    const auto ratio = [&](int64_t OverlapMetrics::*field) -> std::string {
      if (row.a == nullptr || row.b == nullptr || row.a->*field == 0) return "-";
      return Ratio(static_cast<double>(row.b->*field) / static_cast<double>(row.a->*field));
    };
    std::vector<std::string> cells = {row.label};
    for (int64_t OverlapMetrics::*field :
         {&OverlapMetrics::wall_ns, &OverlapMetrics::gemm_ns, &OverlapMetrics::comm_ns})
      cells.insert(cells.end(), {us(row.a, field), us(row.b, field), ratio(field)});
    for (const OverlapMetrics* side : {row.a, row.b})
      cells.push_back(side == nullptr ? "-" : Us(side->exposed_ns()));
    for (const OverlapMetrics* side : {row.a, row.b})
      cells.push_back(side == nullptr ? "-" : Percent(side->hidden()));
    table.Add(std::move(cells));
  }
  return table;
}

core::Json DiffJson(const trace::RankAnalysis& a, const trace::RankAnalysis& b) {
  const auto side = [](const OverlapMetrics* metrics) {
    return metrics == nullptr ? core::Json(nullptr) : trace::ToJson(*metrics);
  };
  core::Json rows = core::Json::array();
  for (const DiffRow& row : DiffRows(a, b))
    rows.push_back({{"operator", row.label}, {"a", side(row.a)}, {"b", side(row.b)}});
  return {{"a", a.file}, {"b", b.file}, {"rows", std::move(rows)}};
}

}  // namespace autodist::cli
