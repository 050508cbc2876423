#include "autodist/tune/flag_groups.h"

#include <algorithm>
#include <array>
#include <limits>

namespace autodist::tune {
namespace {

using spec::LinearOp;
using spec::OverlapSite;
using spec::SiteCollective;

struct Switch {
  const char* name;
  bool OverlapFlags::*field;
};

constexpr std::array<Switch, 7> kSwitches = {{
    {"tp_comm_overlap_ag", &OverlapFlags::overlap_ag},
    {"tp_comm_overlap_rs", &OverlapFlags::overlap_rs},
    {"tp_comm_bulk_dgrad", &OverlapFlags::bulk_dgrad},
    {"tp_comm_bulk_wgrad", &OverlapFlags::bulk_wgrad},
    {"tp_comm_overlap_rs_dgrad", &OverlapFlags::overlap_rs_dgrad},
    {"tp_comm_overlap_disable_qkv", &OverlapFlags::disable_qkv},
    {"tp_comm_overlap_disable_fc1", &OverlapFlags::disable_fc1},
}};

bool Disabled(const OverlapFlags& flags, LinearOp op) {
  return (op == LinearOp::kQkv && flags.disable_qkv) || (op == LinearOp::kFc1 && flags.disable_fc1);
}

// Combinations that say the same as another with fewer switches.
bool Redundant(const OverlapFlags& flags) {
  const bool disables = flags.disable_qkv || flags.disable_fc1;
  return disables && !flags.overlap_ag && !flags.overlap_rs_dgrad;
}

double Weighted(const LayerCosts& costs, const OverlapFlags& flags, double preference) {
  double sum = 0;
  for (const auto& [site, cost] : costs) {
    const SiteMode mode = ModeOf(flags, site);
    const bool overlaps = mode == SiteMode::kOverlap || mode == SiteMode::kScatter;
    sum += cost.Of(mode) * (overlaps ? 1 + preference : 1);
  }
  return sum;
}

}  // namespace

bool OverlapFlags::any() const {
  return overlap_ag || overlap_rs || bulk_dgrad || bulk_wgrad || overlap_rs_dgrad;
}

SiteMode ModeOf(const OverlapFlags& flags, OverlapSite site) {
  const auto overlap_if = [](bool on) { return on ? SiteMode::kOverlap : SiteMode::kSequential; };
  const bool disabled = Disabled(flags, site.op);
  switch (spec::CollectiveOf(site)) {
    case SiteCollective::kGather:
      return overlap_if(flags.overlap_ag && !disabled);
    case SiteCollective::kScatter:
      return overlap_if(flags.overlap_rs);
    case SiteCollective::kBeside: {
      const bool wgrad = site.pass == spec::LinearPass::kWgrad;
      if (flags.overlap_rs_dgrad && !disabled)
        return wgrad ? SiteMode::kProduct : SiteMode::kScatter;
      return overlap_if(wgrad ? flags.bulk_wgrad : flags.bulk_dgrad);
    }
    case SiteCollective::kNothing:
      break;
  }
  return SiteMode::kSequential;
}

double SiteCosts::Of(SiteMode mode) const {
  switch (mode) {
    case SiteMode::kSequential:
      return sequential_s;
    case SiteMode::kOverlap:
      return overlap_s;
    case SiteMode::kScatter:
      return scatter_s;
    case SiteMode::kProduct:
      return product_s;
  }
  return 0;
}

double LayerSeconds(const LayerCosts& costs, const OverlapFlags& flags) {
  return Weighted(costs, flags, 0);
}

FlagChoice ChooseFlags(const LayerCosts& costs, double preference) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  FlagChoice choice;
  for (const Switch& entry : kSwitches)
    choice.decisions.push_back({entry.name, false, kInfinity, kInfinity});
  double best_s = kInfinity;
  for (unsigned bits = 0; bits < 1u << kSwitches.size(); ++bits) {
    OverlapFlags flags;
    for (size_t i = 0; i < kSwitches.size(); ++i) flags.*kSwitches[i].field = (bits >> i & 1) != 0;
    if (Redundant(flags)) continue;
    const double weighted_s = Weighted(costs, flags, preference);
    // The rounding of sums must not turn on a switch that changes nothing.
    if (weighted_s < best_s * (1 - 1e-12)) {
      best_s = weighted_s;
      choice.flags = flags;
    }
    const double seconds = LayerSeconds(costs, flags);
    for (size_t i = 0; i < kSwitches.size(); ++i) {
      FlagDecision& decision = choice.decisions[i];
      double& side_s = (bits >> i & 1) != 0 ? decision.on_s : decision.off_s;
      side_s = std::min(side_s, seconds);
    }
  }
  choice.layer_s = LayerSeconds(costs, choice.flags);
  for (size_t i = 0; i < kSwitches.size(); ++i)
    choice.decisions[i].on = choice.flags.*kSwitches[i].field;
  return choice;
}

}  // namespace autodist::tune
