#include "autodist/measure/breakdown.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodist/measure/statistics.h"
#include "autodist/report/table.h"

namespace autodist::measure {

using device::OpKind;

PhaseBreakdown BreakDown(const std::vector<device::OpTotals>& ranks, device::OpPhase phase,
                         double steps, const Limits& limits) {
  PhaseBreakdown breakdown;
  const double rank_steps = steps * static_cast<double>(ranks.size());
  for (const device::OpTotals& rank : ranks)
    breakdown.step_s += rank.wall_s[static_cast<size_t>(phase)] / rank_steps;
  BreakdownRow other{.name = "other", .seconds = breakdown.step_s};
  for (size_t k = 0; k < device::kOpKinds; ++k) {
    const auto kind = static_cast<OpKind>(k);
    BreakdownRow row{.name = std::string(device::NameOf(kind))};
    for (const device::OpTotals& rank : ranks) {
      const device::OpTotal& total = rank.At(phase, kind);
      row.seconds += total.seconds / rank_steps;
      row.bytes += static_cast<double>(total.bytes) / steps;
      row.flops += total.flops / steps;
    }
    row.limit_s =
        std::max(row.bytes / limits.read_bytes_per_s, row.flops / limits.gemm_flops_per_s);
    other.seconds -= row.seconds;
    breakdown.rows.push_back(row);
  }
  other.seconds = std::max(0.0, other.seconds);
  breakdown.rows.push_back(other);
  return breakdown;
}

PhaseBreakdown MedianOf(const std::vector<PhaseBreakdown>& samples) {
  PhaseBreakdown median;
  median.step_s = Median(samples, [](const PhaseBreakdown& s) { return s.step_s; });
  for (size_t r = 0; r < samples.front().rows.size(); ++r) {
    const auto of = [&](double BreakdownRow::*field) {
      return Median(samples, [&](const PhaseBreakdown& s) { return s.rows[r].*field; });
    };
    median.rows.push_back({.name = samples.front().rows[r].name,
                           .seconds = of(&BreakdownRow::seconds),
                           .bytes = of(&BreakdownRow::bytes),
                           .flops = of(&BreakdownRow::flops),
                           .limit_s = of(&BreakdownRow::limit_s)});
  }
  return median;
}

core::Json ToJson(const PhaseBreakdown& breakdown) {
  core::Json ops = core::Json::array();
  for (const BreakdownRow& row : breakdown.rows)
    ops.push_back({{"name", row.name},
                   {"step_s", row.seconds},
                   {"bytes", row.bytes},
                   {"flops", row.flops},
                   {"limit_s", row.limit_s},
                   {"fraction", row.fraction()}});
  return {{"step_s", breakdown.step_s}, {"ops", ops}};
}

std::string ToText(const PhaseBreakdown& breakdown) {
  report::Table table({"", "ms", "share", "MB", "MFLOP", "limit ms", "reached"});
  for (const BreakdownRow& row : breakdown.rows) {
    if (row.seconds == 0 && row.bytes == 0) continue;
    const bool bounded = row.limit_s > 0;
    table.Add({row.name, fmt::format("{:.3f}", row.seconds * 1e3),
               fmt::format("{:.1f} %", 100 * row.seconds / breakdown.step_s),
               bounded ? fmt::format("{:.2f}", row.bytes / 1e6) : "",
               bounded ? fmt::format("{:.1f}", row.flops / 1e6) : "",
               bounded ? fmt::format("{:.3f}", row.limit_s * 1e3) : "",
               bounded ? fmt::format("{:.0f} %", row.fraction() * 100) : ""});
  }
  return table.ToText();
}

}  // namespace autodist::measure
