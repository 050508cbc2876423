#include <fmt/format.h>

#include <cmath>

#include "autodist/tune/report_text.h"
#include "autodist/tune/site_verdict.h"

namespace autodist::tune {
namespace {

using core::Json;

Json Microseconds(double seconds) {
  if (!std::isfinite(seconds)) return nullptr;
  return std::round(seconds * 1e9) / 1e3;
}

std::string Key(int tp) { return std::to_string(tp); }

Json CaseJson(const MeasuredSetting& setting) {
  Json json = {{"case_id", setting.overlap_case.Id()},
               {"tp_size", setting.overlap_case.tp},
               {"operator", spec::NameOf(setting.overlap_case.site.op)},
               {"phase", spec::NameOf(setting.overlap_case.site.pass)},
               {"setting", spec::ToJson(setting.overlap_case.setting)},
               {"predicted_us", Microseconds(setting.predicted_s)},
               {"applied", setting.applied.empty() ? Json() : Json(setting.applied)}};
  if (setting.failed()) {
    json["error"] = setting.error;
    return json;
  }
  const CaseSample& mean = setting.summary.mean;
  json["wall_us"] = Microseconds(mean.wall_s);
  json["wall_error_us"] = Microseconds(setting.summary.wall_error_s);
  json["spread"] = setting.summary.wall_spread;
  json["repeats"] = setting.summary.repeats;
  json["gemm_us"] = Microseconds(mean.gemm_s);
  json["comm_us"] = Microseconds(mean.comm_s);
  json["exposed_us"] = Microseconds(mean.exposed_s);
  json["profiler_ratio"] = setting.profiler_ratio > 0 ? Json(setting.profiler_ratio) : Json();
  return json;
}

Json SiteJson(const OverlapReport& report, const TpFindings& size, const SiteFindings& site) {
  const SiteVerdict verdict = JudgeSite(size, site, report.options);
  const MeasuredSetting* const sequential = site.sequential();
  Json json;
  json["setting"] =
      verdict.chosen == nullptr ? Json() : spec::ToJson(verdict.chosen->overlap_case.setting);
  json["overlapped"] = verdict.overlapped;
  json["wall_us"] = Microseconds(verdict.seconds);
  json["predicted_us"] =
      verdict.chosen == nullptr ? Json() : Microseconds(verdict.chosen->predicted_s);
  json["sequential_us"] =
      sequential == nullptr ? Json() : Microseconds(sequential->summary.mean.wall_s);
  json["lower_bound_us"] = Microseconds(planner::LowerBound(site.context.measured));
  json["communicates"] = site.context.measured.comm_s > 0;
  json["hidden"] = verdict.hidden;
  json["hidden_anyway"] = site.hidden_anyway;
  json["exposed_us"] = Microseconds(verdict.exposed_s);
  json["bound"] = NameOf(verdict.bound);
  json["reason"] = verdict.reason;
  return json;
}

// An operator at one size: fprop, dgrad and wgrad together.
double OperatorSeconds(const TpFindings& size, spec::LinearOp op) {
  double sum = 0;
  for (const SiteFindings& site : size.sites)
    if (site.context.site.op == op) sum += ChosenSeconds(size, site);
  return sum;
}

Json OperatorScaling(const OverlapReport& report, spec::LinearOp op) {
  Json ratios = Json::object(), times = Json::object();
  std::vector<planner::TpTime> rule;
  for (const TpFindings& size : report.outcome.sizes) {
    if (!size.excluded.empty() || !size.complete) continue;
    rule.push_back({size.tp, OperatorSeconds(size, op)});
    times[Key(size.tp)] = Microseconds(rule.back().seconds);
    ratios[Key(size.tp)] = rule.front().seconds / rule.back().seconds;
  }
  if (rule.empty()) return nullptr;
  const int alone = planner::DoublingRule(rule, report.options.scaling_tolerance);
  return {{"optimal_tp_size", alone},
          {"scaling_efficient", alone > 1},
          {"scaling_ratios", ratios},
          {"e2e_times", times},
          {"reason", alone == rule.back().tp
                         ? "every doubling measured is within the tolerance"
                         : fmt::format("tp {} takes more than half of tp {}'s time times {:g}",
                                       2 * alone, alone, report.options.scaling_tolerance)}};
}

Json TableJson(const OverlapReport& report) {
  Json table = Json::array();
  for (const DoublingStep& step : report.outcome.doubling) {
    const TpFindings* const size = report.outcome.Find(step.tp);
    if (size == nullptr || !size->complete) continue;
    table.push_back({{"tp_size", step.tp},
                     {"layer_us", Microseconds(step.layer_s)},
                     {"layer_error_us", Microseconds(size->error_s)},
                     {"limit_us", step.tp == 1 ? Json() : Microseconds(step.limit_s)},
                     {"efficiency", step.efficiency},
                     {"accepted", step.accepted},
                     {"sequential_us", Microseconds(size->sequential_s)},
                     {"lower_bound_us", Microseconds(size->lower_bound_s)},
                     {"predicted_us", Microseconds(size->predicted_s)},
                     {"excluded", nullptr}});
  }
  for (const TpFindings& size : report.outcome.sizes)
    if (!size.excluded.empty())
      table.push_back({{"tp_size", size.tp}, {"excluded", size.excluded}});
  return table;
}

Json SwitchesJson(const OverlapReport& report) {
  Json sizes = Json::object();
  for (const TpFindings& size : report.outcome.sizes) {
    if (size.tp == 1 || !size.excluded.empty() || !size.complete) continue;
    Json switches = Json::object();
    for (const FlagDecision& decision : size.flags.decisions)
      switches[decision.name] = {{"on", decision.on},
                                 {"layer_on_us", Microseconds(decision.on_s)},
                                 {"layer_off_us", Microseconds(decision.off_s)}};
    sizes[Key(size.tp)] = switches;
  }
  return sizes;
}

Json OperatorSummary(const OverlapReport& report, spec::LinearOp op) {
  Json sizes = Json::object();
  for (const TpFindings& size : report.outcome.sizes) {
    if (!size.excluded.empty() || !size.complete) continue;
    bool effective = false;
    Json json;
    for (const SiteFindings& site : size.sites) {
      if (site.context.site.op != op) continue;
      const SiteVerdict verdict = JudgeSite(size, site, report.options);
      effective |= verdict.overlapped && verdict.hidden >= report.options.overlap_threshold;
      json[fmt::format("best_{}", spec::NameOf(site.context.site.pass))] =
          SiteJson(report, size, site);
    }
    Json summary = {{"has_effective_overlap", effective}};
    summary.update(json);
    sizes[Key(size.tp)] = summary;
  }
  return sizes;
}

}  // namespace

Json ToJson(const OverlapReport& report) {
  Json analyses = Json::array();
  for (const TpFindings& size : report.outcome.sizes)
    for (const SiteFindings& site : size.sites)
      for (const MeasuredSetting& setting : site.settings) analyses.push_back(CaseJson(setting));
  Json results = Json::object(), summaries = Json::object();
  for (const spec::LinearOp op : OperatorsOf(report.options, report.model)) {
    results[std::string(spec::NameOf(op))] = OperatorScaling(report, op);
    summaries[std::string(spec::NameOf(op))] = OperatorSummary(report, op);
  }
  Json wanted = Json::array();
  for (const OverlapCase& overlap_case : report.outcome.wanted) wanted.push_back(overlap_case.Id());
  return {{"timestamp", report.timestamp},
          {"source", report.source},
          {"final", report.final()},
          {"tuner_config", ToJson(report.options, report.model)},
          {"tp_scaling",
           {{"optimal_tp_size", Undecided(report) ? Json() : Json(report.outcome.optimal_tp)},
            {"verdict", VerdictText(report)},
            {"memory_forced", report.outcome.memory_forced},
            {"tolerance", report.options.scaling_tolerance},
            {"table", TableJson(report)},
            {"results", results}}},
          {"recommendations", Recommendations(report)},
          {"operator_summaries", summaries},
          {"switches", SwitchesJson(report)},
          {"analyses", analyses},
          {"wanted", wanted}};
}

}  // namespace autodist::tune
