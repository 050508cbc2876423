#include "autodist/tune/te_config.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace autodist::tune {
namespace {

using spec::LinearOp;
using spec::LinearPass;
using spec::OverlapMethod;
using spec::OverlapSetting;
using spec::OverlapSite;

// *_wgrad in bulk stands beside a *_dgrad in bulk.
void CompleteBulk(TeConfig& config) {
  for (const LinearOp op : {LinearOp::kQkv, LinearOp::kFc1}) {
    const auto wgrad = config.find({op, LinearPass::kWgrad});
    if (wgrad != config.end()) config.emplace(OverlapSite{op, LinearPass::kDgrad}, wgrad->second);
  }
}

std::string WhyInvalid(OverlapSite site, const OverlapSetting& setting,
                       const spec::OverlapModel& model, int tp, TeVersion version) {
  if (!Accepts(version, site, setting.method))
    return fmt::format("TransformerEngine {} takes no {} there", ToText(version),
                       spec::NameOf(setting.method));
  const bool ring = setting.method == OverlapMethod::kRingExchange;
  if (!ring && (setting.num_sm < 1 || setting.num_sm > kMaxNumSm))
    return fmt::format("num_sm is {}, must be in [1, {}]", setting.num_sm, kMaxNumSm);
  if (!ring && setting.num_sm % setting.cga_size != 0)
    return fmt::format("num_sm {} is not divisible by cga_size {}", setting.num_sm,
                       setting.cga_size);
  if (setting.aggregate &&
      (tp % 2 != 0 || spec::CollectiveOf(site) != spec::SiteCollective::kGather))
    return "aggregate is for gathers of an even tp";
  if (setting.method == OverlapMethod::kPipeline) {
    const spec::LinearShape shape = spec::ShapeOf(model, site.op);
    const int64_t outputs = site.pass == LinearPass::kFprop ? shape.outputs : shape.inputs;
    if (setting.num_splits < 1 || outputs % setting.num_splits != 0)
      return fmt::format("num_splits {} does not divide the {} outputs of a rank",
                         setting.num_splits, outputs);
  }
  return "";
}

// The fields of one site. Rings take neither blocks nor splits, but TransformerEngine's defaults
// are those of the site's default method, so they are written too.
std::vector<std::pair<std::string, std::string>> FieldsOf(const OverlapSetting& setting, int tp) {
  const bool ring = setting.method == OverlapMethod::kRingExchange;
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  return {{"method", std::string(spec::NameOf(setting.method))},
          {"num_sm", std::to_string(ring ? 1 : setting.num_sm)},
          {"cga_size", std::to_string(ring ? 1 : setting.cga_size)},
          {"set_sm_margin", flag(setting.set_sm_margin)},
          {"num_splits", std::to_string(ring ? tp : std::max(setting.num_splits, 1))},
          {"aggregate", flag(setting.aggregate)},
          {"atomic_gemm", flag(false)},
          {"use_ce", flag(ring)},
          {"fp8_buf", flag(false)},
          {"pipeline_rs_overlap_first_gemm", flag(false)}};
}

}  // namespace

TeConfig ConfigOf(const TpFindings& size) {
  TeConfig config;
  for (const SiteFindings& site : size.sites) {
    const SiteMode mode = ModeOf(size.flags.flags, site.context.site);
    const MeasuredSetting* const chosen = ChosenSetting(size, site);
    if ((mode == SiteMode::kOverlap || mode == SiteMode::kScatter) && chosen != nullptr)
      config[site.context.site] = chosen->overlap_case.setting;
  }
  CompleteBulk(config);
  return config;
}

TeConfig ConfigOf(const OverlapCase& overlap_case) {
  TeConfig config;
  if (overlap_case.setting.method != OverlapMethod::kSequential)
    config[overlap_case.site] = overlap_case.setting;
  CompleteBulk(config);
  return config;
}

OverlapFlags FlagsOf(const OverlapCase& overlap_case) {
  OverlapFlags flags;
  if (overlap_case.setting.method == OverlapMethod::kSequential) return flags;
  switch (spec::CollectiveOf(overlap_case.site)) {
    case spec::SiteCollective::kGather:
      flags.overlap_ag = true;
      break;
    case spec::SiteCollective::kScatter:
      flags.overlap_rs = true;
      break;
    case spec::SiteCollective::kBeside:
      if (ScattersDgrad(overlap_case.site, overlap_case.setting.method))
        flags.overlap_rs_dgrad = true;
      else if (overlap_case.site.pass == LinearPass::kDgrad)
        flags.bulk_dgrad = true;
      else
        flags.bulk_wgrad = true;
      break;
    case spec::SiteCollective::kNothing:
      break;
  }
  return flags;
}

std::string WhyInvalid(const TeConfig& config, const spec::OverlapModel& model, int tp,
                       int64_t tokens, TeVersion version) {
  if (config.empty()) return "";
  if (tp == 1) return "tp 1 has nothing to overlap";
  if (const std::string why = spec::WhyNotDivisible(model, tp, tokens); !why.empty()) return why;
  for (const auto& [site, setting] : config) {
    const std::string why = WhyInvalid(site, setting, model, tp, version);
    if (!why.empty()) return spec::KeyOf(site) + ": " + why;
    if (site.pass != LinearPass::kWgrad || !spec::IsColumn(site.op)) continue;
    const auto dgrad = config.find({site.op, LinearPass::kDgrad});
    if (dgrad == config.end() || dgrad->second.method != OverlapMethod::kBulk)
      return spec::KeyOf(site) + ": must be absent, for the dgrad is not bulk";
  }
  return "";
}

std::string ToYaml(const TeConfig& config, int tp, TeVersion version, const std::string& heading) {
  std::string text = fmt::format("# {}\n", heading);
  if (config.empty()) return text + "{}\n";
  for (const auto& [site, setting] : config) {
    text += fmt::format("{}:\n", spec::KeyOf(site));
    for (const auto& [name, value] : FieldsOf(setting, tp))
      if (KnowsField(version, name)) text += fmt::format("  {}: {}\n", name, value);
  }
  return text;
}

std::string MegatronFlags(int tp, const OverlapFlags& flags, const std::string& config_file) {
  std::string text = fmt::format("--tensor-model-parallel-size {}\n", tp);
  if (tp == 1) return text;
  text += "--sequence-parallel\n";
  if (!flags.any()) return text;
  text += fmt::format("--tp-comm-overlap\n--tp-comm-overlap-cfg {}\n", config_file);
  if (!flags.overlap_ag) text += "--disable-tp-comm-overlap-ag\n";
  if (!flags.overlap_rs) text += "--disable-tp-comm-overlap-rs\n";
  if (flags.overlap_rs_dgrad) text += "--tp-comm-overlap-rs-dgrad\n";
  if (!flags.bulk_dgrad) text += "--disable-tp-comm-bulk-dgrad\n";
  if (!flags.bulk_wgrad) text += "--disable-tp-comm-bulk-wgrad\n";
  for (const auto& [name, on] : {std::pair{"tp_comm_overlap_disable_qkv", flags.disable_qkv},
                                 std::pair{"tp_comm_overlap_disable_fc1", flags.disable_fc1}})
    if (on)
      text += fmt::format("# and {} = True in the transformer configuration: no argument sets it\n",
                          name);
  return text;
}

}  // namespace autodist::tune
