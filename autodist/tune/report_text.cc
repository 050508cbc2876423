#include "autodist/tune/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodist/tune/site_verdict.h"
#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {
namespace {

constexpr double kRecommendedTolerance = 1.05;
constexpr double kCostlyProfiler = 1.1;

std::string Microseconds(double seconds) {
  return std::isfinite(seconds) ? fmt::format("{:.1f}", seconds * 1e6) : "-";
}

std::string Percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

const SiteFindings* FindSite(const OverlapReport& report, int tp, spec::OverlapSite site) {
  const TpFindings* const size = report.outcome.Find(tp);
  if (size == nullptr) return nullptr;
  for (const SiteFindings& findings : size->sites)
    if (findings.context.site == site) return &findings;
  return nullptr;
}

std::string StepVerdict(const OverlapReport& report, const DoublingStep& step) {
  if (step.tp == 1) return "baseline";
  if (step.accepted) return "worth it";
  if (report.outcome.memory_forced && step.tp <= report.outcome.optimal_tp)
    return "too slow, but memory forces it";
  return "too slow";
}

// "qkv and proj"
std::string Names(const std::vector<spec::LinearOp>& operators) {
  std::string text;
  for (size_t i = 0; i < operators.size(); ++i)
    text += fmt::format("{}{}",
                        i == 0                     ? ""
                        : i + 1 < operators.size() ? ", "
                                                   : " and ",
                        spec::NameOf(operators[i]));
  return text;
}

// The median of what the profiler costs over the cases; 0: not known.
double ProfilerRatio(const OverlapReport& report) {
  std::vector<double> ratios;
  for (const TpFindings& size : report.outcome.sizes)
    for (const SiteFindings& site : size.sites)
      for (const MeasuredSetting& setting : site.settings)
        if (setting.profiler_ratio > 0) ratios.push_back(setting.profiler_ratio);
  if (ratios.empty()) return 0;
  std::nth_element(ratios.begin(), ratios.begin() + std::ssize(ratios) / 2, ratios.end());
  return ratios[ratios.size() / 2];
}

void AddDoubts(const OverlapReport& report, std::vector<std::string>& texts) {
  if (!report.options.machine.nvlink && report.outcome.optimal_tp > 1)
    texts.push_back(
        "TransformerEngine's userbuffers need NVLink, which this machine has not: rings and bulk "
        "are what an engine without that need could gain, and its files are for comparison only");
  if (report.options.te_version > kNewestTeVersion)
    texts.push_back(fmt::format(
        "TransformerEngine {} is configured by the rules of {}, the newest that is known",
        ToText(report.options.te_version), ToText(kNewestTeVersion)));
  const std::vector<spec::LinearOp> others = UnmeasuredOperators(report.options, report.model);
  if (!others.empty())
    texts.push_back(
        fmt::format("only {} were measured, and the verdict rests on them: under the same switches "
                    "TransformerEngine overlaps {} by its own defaults",
                    Names(OperatorsOf(report.options, report.model)), Names(others)));
  if (const double ratio = ProfilerRatio(report); ratio > kCostlyProfiler)
    texts.push_back(
        fmt::format("the profiler makes an operator {:.2f} times as slow (median over the cases): "
                    "times of short kernels are doubtful",
                    ratio));
  for (const TpFindings& size : report.outcome.sizes)
    for (const SiteFindings& site : size.sites)
      if (site.hidden_anyway > 0) {
        texts.push_back(
            "without userbuffers some collectives run beside their product already (NCCL, on "
            "multiprocessors of its own): \"sequential\" is the time with that");
        return;
      }
}

// Sentences stand below the table, not in it.
report::Table WithoutLastColumn(const report::Table& table) {
  report::Table shorter({table.header().begin(), table.header().end() - 1});
  for (const std::vector<std::string>& row : table.rows())
    shorter.Add({row.begin(), row.end() - 1});
  return shorter;
}

void AddParts(const OverlapReport& report, std::string& text) {
  text += fmt::format("\n{}", ScalingTable(report).ToText());
  const TpFindings* const size = ShownSize(report);
  if (size == nullptr) return;
  text += fmt::format("\nsites at tp {} (microseconds)\n{}\n", size->tp,
                      WithoutLastColumn(SiteTable(report, *size)).ToText());
  for (const SiteFindings& site : size->sites)
    text += fmt::format("{:<11} {}\n", spec::KeyOf(site.context.site),
                        JudgeSite(*size, site, report.options).reason);
  text += fmt::format("\nswitches at tp {} (microseconds of a layer)\n{}", size->tp,
                      SwitchTable(*size).ToText());
}

}  // namespace

bool Undecided(const OverlapReport& report) {
  return !report.outcome.undecided.empty() ||
         (!report.final() && report.outcome.doubling.size() < 2);
}

std::string VerdictText(const OverlapReport& report) {
  if (Undecided(report)) return "not decided";
  if (report.outcome.optimal_tp == 1) return "off";
  return fmt::format("tp {}{}", report.outcome.optimal_tp,
                     report.outcome.memory_forced ? ", forced by memory" : "");
}

const TpFindings* ShownSize(const OverlapReport& report) {
  return report.outcome.Find(std::max(report.outcome.optimal_tp, 2));
}

std::vector<std::string> Recommendations(const OverlapReport& report) {
  std::vector<std::string> texts;
  const OverlapOutcome& outcome = report.outcome;
  if (!report.final()) {
    texts.push_back(fmt::format("{} cases are still to be measured: what stands here may change",
                                outcome.wanted.size()));
  } else if (Undecided(report)) {
    texts.push_back(fmt::format("nothing can be recommended: {}; --retry-failed tries it again",
                                outcome.undecided));
  } else if (outcome.optimal_tp == 1) {
    const std::string& excluded = outcome.sizes.back().excluded;
    texts.push_back(fmt::format(
        "turn tensor parallelism off: {}",
        excluded.empty() ? "tp 2 does not halve the time of a layer, even with the best overlap"
                         : excluded));
  } else if (const TpFindings* const size = outcome.Find(outcome.optimal_tp)) {
    texts.push_back(fmt::format(
        "use {}: a layer's linear operators take {} us, {} us without overlap, {} us if all that "
        "can hide were hidden",
        VerdictText(report), Microseconds(size->layer_s), Microseconds(size->sequential_s),
        Microseconds(size->lower_bound_s)));
    if (!size->flags.flags.any()) texts.push_back("leave tp_comm_overlap off: nothing gains by it");
  }
  if (report.options.scaling_tolerance > kRecommendedTolerance)
    texts.push_back(fmt::format(
        "the tolerance of {:g} accepts a tp that wastes up to {:.0f} % of the devices at each "
        "doubling; {:g} is recommended where they could be data-parallel instead",
        report.options.scaling_tolerance, 100 * (1 - 1 / report.options.scaling_tolerance),
        kRecommendedTolerance));
  AddDoubts(report, texts);
  texts.insert(texts.end(), outcome.remarks.begin(), outcome.remarks.end());
  texts.insert(texts.end(), report.model.notes.begin(), report.model.notes.end());
  return texts;
}

report::Table ScalingTable(const OverlapReport& report) {
  report::Table table({"tp", "layer us", "+-", "limit us", "efficiency", "sequential us",
                       "bound us", "predicted us", "verdict"});
  for (const DoublingStep& step : report.outcome.doubling) {
    const TpFindings* const size = report.outcome.Find(step.tp);
    if (size == nullptr) continue;
    table.Add({std::to_string(step.tp), Microseconds(step.layer_s), Microseconds(size->error_s),
               step.tp == 1 ? "-" : Microseconds(step.limit_s), Percent(step.efficiency),
               Microseconds(size->sequential_s), Microseconds(size->lower_bound_s),
               Microseconds(size->predicted_s), StepVerdict(report, step)});
  }
  for (const TpFindings& size : report.outcome.sizes)
    if (!size.excluded.empty())
      table.Add({std::to_string(size.tp), "-", "-", "-", "-", "-", "-", "-", size.excluded});
  return table;
}

report::Table SiteTable(const OverlapReport& report, const TpFindings& size) {
  report::Table table({"site", "setting", "time", "+-", "predicted", "sequential", "bound",
                       "vs tp 1", "hidden", "exposed", "why"});
  for (const SiteFindings& site : size.sites) {
    const SiteVerdict verdict = JudgeSite(size, site, report.options);
    const MeasuredSetting* const sequential = site.sequential();
    const SiteFindings* const one = FindSite(report, 1, site.context.site);
    const bool communicates = site.context.measured.comm_s > 0;
    table.Add(
        {spec::KeyOf(site.context.site),
         verdict.chosen == nullptr ? "product alone"
                                   : spec::Describe(verdict.chosen->overlap_case.setting),
         Microseconds(verdict.seconds),
         verdict.chosen == nullptr ? "-" : Microseconds(verdict.chosen->summary.wall_error_s),
         verdict.chosen == nullptr ? "-" : Microseconds(verdict.chosen->predicted_s),
         sequential == nullptr ? "failed" : Microseconds(sequential->summary.mean.wall_s),
         Microseconds(planner::LowerBound(site.context.measured)),
         one == nullptr || one->sequential() == nullptr
             ? "-"
             : fmt::format("{:.2f}x", one->sequential()->summary.mean.wall_s / verdict.seconds),
         communicates ? Percent(verdict.hidden) : "-",
         communicates ? Microseconds(verdict.exposed_s) : "-", verdict.reason});
  }
  return table;
}

report::Table SwitchTable(const TpFindings& size) {
  report::Table table({"switch", "on", "off", "chosen"});
  for (const FlagDecision& decision : size.flags.decisions)
    table.Add({decision.name, Microseconds(decision.on_s), Microseconds(decision.off_s),
               decision.on ? "on" : "off"});
  return table;
}

report::Table CaseTable(const OverlapReport& report) {
  report::Table table({"case", "time", "+-", "spread", "repeats", "predicted", "product",
                       "communication", "exposed", "profiler", "applied"});
  for (const TpFindings& size : report.outcome.sizes) {
    for (const SiteFindings& site : size.sites) {
      for (const MeasuredSetting& setting : site.settings) {
        const std::string id = setting.overlap_case.Id();
        const std::string predicted = Microseconds(setting.predicted_s);
        if (setting.failed()) {
          table.Add({id, "failed", "-", "-", "-", predicted, "-", "-", "-", "-", setting.error});
          continue;
        }
        const CaseSample& mean = setting.summary.mean;
        table.Add(
            {id, Microseconds(mean.wall_s), Microseconds(setting.summary.wall_error_s),
             fmt::format("{:.1f} %", 100 * setting.summary.wall_spread),
             std::to_string(setting.summary.repeats), predicted, Microseconds(mean.gemm_s),
             Microseconds(mean.comm_s), Microseconds(mean.exposed_s),
             setting.profiler_ratio > 0 ? fmt::format("{:.2f}x", setting.profiler_ratio) : "-",
             setting.applied.empty() ? "not reported" : setting.applied});
      }
    }
  }
  return table;
}

std::string ToText(const OverlapReport& report) {
  const planner::OverlapMachine& machine = report.options.machine;
  std::string text = fmt::format(
      "model    {}, {} tokens\nmachine  {}: {:.0f} TFLOP/s, link {:.0f} GB/s, {:.1f} us a step, {} "
      "multiprocessors\nsource   {}; {} cases\nanswer   {}{}\n",
      report.model.name, report.options.max_token_len, machine.name, machine.flops_per_s / 1e12,
      machine.link_bytes_per_s / 1e9, machine.latency_s * 1e6, machine.sm_count, report.source,
      report.measurements, report.final() ? "" : "so far: ", VerdictText(report));
  AddParts(report, text);
  text += "\n";
  for (const std::string& sentence : Recommendations(report))
    text += fmt::format("- {}\n", sentence);
  return text;
}

}  // namespace autodist::tune
