#include <fmt/format.h>

#include "autodist/report/chart.h"
#include "autodist/tune/report_text.h"

namespace autodist::tune {
namespace {

constexpr double kShownExcess = 3;  // of communication over the product: beyond, the rest is flat

report::Chart LayerChart(const OverlapReport& report) {
  report::Series chosen{.name = "chosen"}, sequential{.name = "without userbuffers"};
  report::Series bound{.name = "all hidden that can be"}, limit{.name = "limit of the rule"};
  for (const DoublingStep& step : report.outcome.doubling) {
    const TpFindings* const size = report.outcome.Find(step.tp);
    if (size == nullptr) continue;
    const double tp = step.tp;
    chosen.points.push_back({tp, step.layer_s * 1e6});
    sequential.points.push_back({tp, size->sequential_s * 1e6});
    bound.points.push_back({tp, size->lower_bound_s * 1e6});
    if (step.tp > 1) limit.points.push_back({tp, step.limit_s * 1e6});
  }
  return {.title = "A layer's linear operators",
          .x_label = "tp",
          .y_label = "microseconds",
          .log_x = true,
          .series = {chosen, sequential, bound, limit}};
}

// Where bulk was measured: what the bisection saw, and the formulas' whole range beside it, from
// the measured times of product and collective alone.
void AddBulkCharts(const OverlapReport& report, const TpFindings& size, report::Page& page) {
  const OverlapOptions& options = report.options;
  for (const SiteFindings& site : size.sites) {
    report::Series gemm{.name = "product"}, comm{.name = "communication"};
    report::Series gemm_formula{.name = "product, by the formulas"};
    report::Series comm_formula{.name = "communication, by the formulas"};
    for (const MeasuredSetting& setting : site.settings) {
      if (setting.failed() || setting.overlap_case.setting.method != spec::OverlapMethod::kBulk)
        continue;
      const double num_sm = setting.overlap_case.setting.num_sm;
      gemm.points.push_back({num_sm, setting.summary.mean.gemm_s * 1e6});
      comm.points.push_back({num_sm, setting.summary.mean.comm_s * 1e6});
    }
    if (gemm.points.empty()) continue;
    for (int num_sm = options.min_num_sm; num_sm <= options.max_num_sm; ++num_sm) {
      if (num_sm > 4 && num_sm % 4 != 0) continue;
      const planner::BulkTimes times = planner::BulkSeconds(
          site.context.problem, site.context.measured, num_sm, options.machine);
      if (times.comm_s > kShownExcess * times.gemm_s) continue;
      gemm_formula.points.push_back({static_cast<double>(num_sm), times.gemm_s * 1e6});
      comm_formula.points.push_back({static_cast<double>(num_sm), times.comm_s * 1e6});
    }
    page.AddChart({.title = fmt::format("{}, bulk", spec::KeyOf(site.context.site)),
                   .x_label = "multiprocessors for communication",
                   .y_label = "microseconds",
                   .series = {gemm_formula, comm_formula, gemm, comm}});
  }
}

}  // namespace

report::Page ToPage(const OverlapReport& report) {
  report::Page page(fmt::format("Overlap of {} on {}: {}", report.model.name,
                                report.options.machine.name, VerdictText(report)));
  page.AddParagraph(fmt::format("{} tokens; {}; {} cases; {}", report.options.max_token_len,
                                report.source, report.measurements, report.timestamp));
  for (const std::string& sentence : Recommendations(report)) page.AddParagraph(sentence);
  page.AddHeading("Tensor-parallel sizes");
  page.AddChart(LayerChart(report));
  page.AddTable(ScalingTable(report));
  if (const TpFindings* const size = ShownSize(report)) {
    page.AddHeading(fmt::format("Sites at tp {}, in microseconds", size->tp));
    page.AddTable(SiteTable(report, *size));
    AddBulkCharts(report, *size, page);
    page.AddHeading("Switches, in microseconds of a layer");
    page.AddTable(SwitchTable(*size));
  }
  page.AddHeading("Every case, in microseconds");
  page.AddTable(CaseTable(report));
  return page;
}

}  // namespace autodist::tune
