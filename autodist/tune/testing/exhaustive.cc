#include "autodist/tune/testing/exhaustive.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace autodist::tune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

ExhaustiveSize Exhaust(const spec::OverlapModel& model, const OverlapOptions& options, int tp,
                       const SimulatedBackend& truth) {
  ExhaustiveSize result;
  LayerCosts costs;
  for (const spec::LinearOp op : OperatorsOf(options, model)) {
    for (const spec::LinearPass pass : spec::kLinearPasses) {
      const spec::OverlapSite site{op, pass};
      SiteCosts& cost = costs[site];
      cost = {kInfinity, kInfinity, kInfinity, kInfinity};
      for (const auto& setting : AllSettings(ContextOf(model, options, site, tp), options)) {
        ++result.measurements;
        const CaseSample sample = truth.Truth({.tp = tp, .site = site, .setting = setting});
        if (setting.method == spec::OverlapMethod::kSequential) {
          cost.sequential_s = sample.wall_s;
          cost.product_s = sample.gemm_s;
        } else if (ScattersDgrad(site, setting.method)) {
          cost.scatter_s = std::min(cost.scatter_s, sample.wall_s);
        } else {
          cost.overlap_s = std::min(cost.overlap_s, sample.wall_s);
        }
      }
    }
  }
  result.layer_s = ChooseFlags(costs, 0).layer_s;
  return result;
}

ExhaustiveEnd ExhaustiveTp(const spec::OverlapModel& model, const OverlapOptions& options,
                           const SimulatedBackend& truth) {
  ExhaustiveEnd end;
  std::vector<planner::TpTime> times;
  for (int tp = 1; tp <= options.max_tp_size; tp *= 2) {
    if (!spec::WhyNotDivisible(model, tp, options.max_token_len).empty()) break;
    times.push_back({tp, Exhaust(model, options, tp, truth).layer_s});
  }
  end.tp = planner::DoublingRule(times, options.scaling_tolerance);
  for (size_t i = 1; i < times.size() && times[i - 1].tp <= end.tp; ++i) {
    const double limit_s = times[i - 1].seconds / 2 * options.scaling_tolerance;
    end.margin = std::min(end.margin, std::abs(times[i].seconds / limit_s - 1));
  }
  return end;
}

double TrueLayerSeconds(const TpFindings& size, const SimulatedBackend& truth) {
  double sum = 0;
  for (const SiteFindings& site : size.sites) {
    if (const MeasuredSetting* const chosen = ChosenSetting(size, site))
      sum += truth.Truth(chosen->overlap_case).wall_s;
    else
      sum += truth.Truth({.tp = size.tp, .site = site.context.site}).gemm_s;
  }
  return sum;
}

}  // namespace autodist::tune
