#include "autodist/tune/candidates.h"

#include <algorithm>

#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;
using spec::OverlapSetting;

constexpr int kPipelineSms = 16;  // TransformerEngine's default: the formulas do not depend on it
constexpr int kClusterCapability = 90;

// The outputs of one rank: what num_splits must divide.
int64_t LocalOutputs(const SiteContext& context) {
  return context.site.pass == spec::LinearPass::kWgrad ? context.problem.product_rows
                                                       : context.problem.product_cols;
}

void AddRing(const SiteContext& context, std::vector<OverlapSetting>& settings) {
  settings.push_back({.method = OverlapMethod::kRingExchange});
  if (spec::CollectiveOf(context.site) == spec::SiteCollective::kGather && context.tp >= 4)
    settings.push_back({.method = OverlapMethod::kRingExchange, .aggregate = true});
}

void AddPipeline(const SiteContext& context, const OverlapOptions& options,
                 std::vector<OverlapSetting>& settings) {
  for (const int splits : {2, 4, 8}) {
    if (LocalOutputs(context) % splits != 0) continue;
    OverlapSetting setting =
        BulkSetting(std::clamp(kPipelineSms, options.min_num_sm, options.max_num_sm), options);
    setting.method = OverlapMethod::kPipeline;
    setting.num_splits = splits;
    setting.set_sm_margin = true;
    settings.push_back(setting);
  }
}

}  // namespace

SiteContext ContextOf(const spec::OverlapModel& model, const OverlapOptions& options,
                      spec::OverlapSite site, int tp) {
  SiteContext context{.site = site, .tp = tp};
  context.problem = planner::ProblemOf(model, site, tp, options.max_token_len);
  context.believed = planner::TimesOf(context.problem, site, options.machine);
  context.measured = context.believed;
  return context;
}

OverlapSetting BulkSetting(int num_sm, const OverlapOptions& options) {
  const bool cluster = options.machine.compute_capability >= kClusterCapability && num_sm % 2 == 0;
  return {.method = OverlapMethod::kBulk, .num_sm = num_sm, .cga_size = cluster ? 2 : 1};
}

std::vector<OverlapSetting> AllSettings(const SiteContext& context, const OverlapOptions& options) {
  std::vector<OverlapSetting> settings = {{}};
  if (context.tp == 1) return settings;
  for (const OverlapMethod method : AcceptedMethods(options.te_version, context.site)) {
    if (method == OverlapMethod::kRingExchange) AddRing(context, settings);
    if (method == OverlapMethod::kPipeline && options.allow_pipeline)
      AddPipeline(context, options, settings);
    if (method == OverlapMethod::kBulk)
      for (int num_sm = options.min_num_sm; num_sm <= options.max_num_sm; ++num_sm)
        settings.push_back(BulkSetting(num_sm, options));
  }
  return settings;
}

double PredictedSeconds(const SiteContext& context, const OverlapSetting& setting,
                        const OverlapOptions& options) {
  return planner::PredictSetting(context.problem, context.site, context.measured, setting,
                                 options.machine)
      .wall_s;
}

}  // namespace autodist::tune
