#include "autodist/tune/overlap_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "autodist/planner/overlap_model.h"
#include "autodist/tune/replay.h"

namespace autodist::tune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kHopeless = 1.15;  // predicted time over the limit of the doubling rule
constexpr double kUsableMemory = 0.9;

SiteCosts CostsOf(const SiteFindings& findings) {
  const auto seconds = [](const MeasuredSetting* setting) {
    return setting == nullptr ? kInfinity : setting->summary.mean.wall_s;
  };
  SiteCosts costs{.product_s = kInfinity};
  costs.sequential_s = seconds(findings.sequential());
  costs.overlap_s = seconds(findings.BestOverlap());
  if (findings.BestOverlap() == nullptr && findings.unmeasured)
    costs.overlap_s = findings.unmeasured_s;
  costs.scatter_s = seconds(findings.BestScattering());
  if (findings.sequential() != nullptr) costs.product_s = findings.context.measured.gemm_s;
  return costs;
}

// The fastest by the formulas, from context.measured.
double BestPrediction(const SiteContext& context, const OverlapOptions& options) {
  double best_s = kInfinity;
  for (const spec::OverlapSetting& setting : AllSettings(context, options))
    best_s = std::min(best_s, PredictedSeconds(context, setting, options));
  return best_s;
}

// Of the sum of the chosen settings' times.
double LayerError(const TpFindings& size) {
  double squares = 0;
  for (const SiteFindings& site : size.sites)
    if (const MeasuredSetting* const chosen = ChosenSetting(size, site))
      squares += chosen->summary.wall_error_s * chosen->summary.wall_error_s;
  return std::sqrt(squares);
}

class Search {
 public:
  Search(const spec::OverlapModel& model, const OverlapOptions& options, const CaseResults& results)
      : model_(model), options_(options), replay_(results) {}

  OverlapOutcome Run();

 private:
  TpFindings SearchSize(int tp);
  void ChooseSwitches(TpFindings& size);
  std::string WhyHopeless(int tp) const;
  int SizeForMemory();
  // False: the search ends with the size before.
  bool Judge(TpFindings size, bool needed);
  void JudgeFailed(const TpFindings& size, int memory_tp);

  const spec::OverlapModel& model_;
  const OverlapOptions& options_;
  Replay replay_;
  OverlapOutcome outcome_;
};

TpFindings Search::SearchSize(int tp) {
  TpFindings size{.tp = tp, .complete = true};
  for (const spec::LinearOp op : OperatorsOf(options_, model_)) {
    std::optional<planner::SiteTimes> fprop;
    for (const spec::LinearPass pass : spec::kLinearPasses) {
      SiteContext context = ContextOf(model_, options_, {op, pass}, tp);
      context.fprop = fprop;
      size.sites.push_back(SearchSite(std::move(context), options_, replay_));
      const SiteFindings& site = size.sites.back();
      size.complete &= site.complete;
      if (pass == spec::LinearPass::kFprop) fprop = site.alone;
    }
  }
  if (!size.complete) return size;
  ChooseSwitches(size);
  if (!size.complete) return size;
  for (const SiteFindings& site : size.sites) {
    const MeasuredSetting* const sequential = site.sequential();
    size.sequential_s += sequential == nullptr ? kInfinity : sequential->summary.mean.wall_s;
    size.lower_bound_s += planner::LowerBound(site.context.measured);
    SiteContext believed = site.context;
    believed.measured = believed.believed;
    size.predicted_s += BestPrediction(believed, options_);
  }
  if (!std::isfinite(size.layer_s)) {
    for (const SiteFindings& site : size.sites)
      for (const MeasuredSetting& setting : site.settings)
        if (setting.failed() && size.excluded.empty())
          size.excluded = fmt::format("{} failed: {}", setting.overlap_case.Id(), setting.error);
    size.failed = true;
  }
  size.error_s = LayerError(size);
  return size;
}

// A choice that rests on a prediction asks for that measurement, and is made again with it.
void Search::ChooseSwitches(TpFindings& size) {
  while (true) {
    LayerCosts costs;
    for (const SiteFindings& site : size.sites) costs[site.context.site] = CostsOf(site);
    size.flags = ChooseFlags(costs, kPreferSequential);
    size.layer_s = size.flags.layer_s;
    bool measured_all = true;
    for (SiteFindings& site : size.sites) {
      if (ModeOf(size.flags.flags, site.context.site) != SiteMode::kOverlap ||
          site.BestOverlap() != nullptr || !site.unmeasured)
        continue;
      const spec::OverlapSetting setting = *site.unmeasured;
      site.unmeasured.reset();
      AddSetting(setting, options_, replay_, site);
      size.complete &= site.complete;
      measured_all = false;
    }
    if (measured_all || !size.complete) return;
  }
}

// With the rates that the size before showed: far beyond the limit of the doubling rule, and no
// collective could hide.
std::string Search::WhyHopeless(int tp) const {
  const TpFindings& before = outcome_.sizes.back();
  if (before.tp == 1) return "";
  double believed_gemm = 0, measured_gemm = 0, believed_comm = 0, measured_comm = 0;
  for (const SiteFindings& site : before.sites) {
    believed_gemm += site.context.believed.gemm_s;
    measured_gemm += site.context.measured.gemm_s;
    believed_comm += site.context.believed.comm_s;
    measured_comm += site.context.measured.comm_s;
  }
  double predicted_s = 0;
  for (const SiteFindings& site : before.sites) {
    SiteContext context = ContextOf(model_, options_, site.context.site, tp);
    context.measured.gemm_s *= measured_gemm / believed_gemm;
    context.measured.comm_s *= measured_comm / believed_comm;
    const bool communicates = spec::CollectiveOf(context.site) != spec::SiteCollective::kNothing;
    if (communicates && context.measured.rho() <= 1) return "";
    predicted_s += BestPrediction(context, options_);
  }
  const double limit_s = before.layer_s / 2 * options_.scaling_tolerance;
  if (predicted_s <= kHopeless * limit_s) return "";
  return fmt::format(
      "not measured: no collective is shorter than its product, and {:.1f} us are predicted where "
      "{:.1f} us are the limit",
      predicted_s * 1e6, limit_s * 1e6);
}

// The smallest size at which weights, gradients and optimizer fit; 1 when nothing is known.
int Search::SizeForMemory() {
  if (model_.parameters == 0 || options_.machine.memory_bytes == 0) {
    outcome_.remarks.push_back(
        fmt::format("whether the model fits into memory was not checked: its {} not known",
                    model_.parameters == 0 ? "number of parameters is" : "machine's memory is"));
    return 1;
  }
  const double usable = kUsableMemory * static_cast<double>(options_.machine.memory_bytes);
  const auto needed = [&](int tp) {
    return planner::TrainingStateBytes(model_, tp, options_.devices);
  };
  int tp = 1;
  while (tp < options_.max_tp_size && needed(tp) > usable &&
         spec::WhyNotDivisible(model_, 2 * tp, options_.max_token_len).empty())
    tp *= 2;
  if (needed(tp) <= usable) return tp;
  outcome_.remarks.push_back(fmt::format(
      "weights, gradients and optimizer take {:.0f} GB per device even at tp {}, more than {:.0f} "
      "GB: {}",
      needed(tp) / 1e9, tp, usable / 1e9,
      tp == options_.max_tp_size && tp < 8
          ? fmt::format("try --max-tp-size {}, pipeline parallelism or more machines", 2 * tp)
          : "this model also needs pipeline parallelism or more machines"));
  return 1;
}

bool Search::Judge(TpFindings size, bool needed) {
  const DoublingStep& before = outcome_.doubling.back();
  DoublingStep step{.tp = size.tp, .layer_s = size.layer_s};
  step.limit_s = before.layer_s / 2 * options_.scaling_tolerance;
  step.efficiency = outcome_.doubling.front().layer_s / (size.tp * size.layer_s);
  if (step.efficiency > before.efficiency * 1.02)
    outcome_.remarks.push_back(
        fmt::format("tp {} is more efficient than tp {}, which the formulas exclude: look at what "
                    "slows the smaller size",
                    size.tp, before.tp));
  const double error_s =
      std::hypot(size.error_s, outcome_.sizes.back().error_s / 2 * options_.scaling_tolerance);
  if (std::abs(step.layer_s - step.limit_s) < error_s)
    outcome_.remarks.push_back(fmt::format(
        "tp {} takes {:.1f} us, its limit is {:.1f} us, and the error of both together {:.1f} us: "
        "more --repeats may decide otherwise",
        size.tp, step.layer_s * 1e6, step.limit_s * 1e6, error_s * 1e6));
  outcome_.doubling.push_back(step);
  std::vector<planner::TpTime> times;
  for (const DoublingStep& row : outcome_.doubling) times.push_back({row.tp, row.layer_s});
  outcome_.optimal_tp = planner::DoublingRule(times, options_.scaling_tolerance);
  outcome_.doubling.back().accepted = outcome_.optimal_tp == size.tp;
  outcome_.sizes.push_back(std::move(size));
  return outcome_.doubling.back().accepted || needed;
}

OverlapOutcome Search::Run() {
  const int memory_tp = SizeForMemory();
  TpFindings one = SearchSize(1);
  outcome_.doubling.push_back({.tp = 1, .layer_s = one.layer_s, .efficiency = 1, .accepted = true});
  bool complete = one.complete;
  if (one.failed) outcome_.undecided = "tp 1 could not be judged: " + one.excluded;
  outcome_.sizes.push_back(std::move(one));
  for (int tp = 2; outcome_.undecided.empty() && tp <= options_.max_tp_size; tp *= 2) {
    TpFindings size{.tp = tp, .complete = true};
    size.excluded = spec::WhyNotDivisible(model_, tp, options_.max_token_len);
    if (size.excluded.empty() && tp > memory_tp && complete) size.excluded = WhyHopeless(tp);
    if (size.excluded.empty()) size = SearchSize(tp);
    complete &= size.complete;
    if (!complete) {
      outcome_.sizes.push_back(std::move(size));
      break;
    }
    if (!size.excluded.empty()) {
      if (size.failed) JudgeFailed(size, memory_tp);
      outcome_.sizes.push_back(std::move(size));
      break;
    }
    if (!Judge(std::move(size), tp < memory_tp)) break;
  }
  if (outcome_.optimal_tp < memory_tp && outcome_.Find(memory_tp) != nullptr && complete) {
    outcome_.optimal_tp = memory_tp;
    outcome_.memory_forced = true;
  }
  outcome_.wanted = replay_.wanted();
  return std::move(outcome_);
}

// A size that could not be measured says nothing for or against itself.
void Search::JudgeFailed(const TpFindings& size, int memory_tp) {
  if (size.tp == 2 || size.tp <= memory_tp)
    outcome_.undecided = fmt::format("tp {} could not be judged: {}", size.tp, size.excluded);
  else
    outcome_.remarks.push_back(
        fmt::format("tp {} could not be judged, and may be better: {}", size.tp, size.excluded));
}

}  // namespace

const TpFindings* OverlapOutcome::Find(int tp) const {
  for (const TpFindings& size : sizes)
    if (size.tp == tp && size.complete && size.excluded.empty()) return &size;
  return nullptr;
}

const MeasuredSetting* ChosenSetting(const TpFindings& size, const SiteFindings& site) {
  switch (ModeOf(size.flags.flags, site.context.site)) {
    case SiteMode::kSequential:
      return site.sequential();
    case SiteMode::kOverlap:
      return site.BestOverlap();
    case SiteMode::kScatter:
      return site.BestScattering();
    case SiteMode::kProduct:
      break;
  }
  return nullptr;
}

double ChosenSeconds(const TpFindings& size, const SiteFindings& site) {
  return CostsOf(site).Of(ModeOf(size.flags.flags, site.context.site));
}

OverlapOutcome SearchOverlap(const spec::OverlapModel& model, const OverlapOptions& options,
                             const CaseResults& results) {
  return Search(model, options, results).Run();
}

}  // namespace autodist::tune
