// Megatron's switches act on groups of sites: which of them to turn on, by time.
//
//   tp_comm_overlap_ag         qkv_fprop, fc1_fprop, proj_dgrad, fc2_dgrad: the rings that gather
//   tp_comm_overlap_rs         proj_fprop and fc2_fprop
//   tp_comm_bulk_dgrad         qkv_dgrad and fc1_dgrad
//   tp_comm_bulk_wgrad         qkv_wgrad and fc1_wgrad
//   tp_comm_overlap_rs_dgrad   qkv_dgrad and fc1_dgrad scatter their own result, which leaves their
//                              wgrad without a collective; stands instead of both bulk switches
//   tp_comm_overlap_disable_qkv, _fc1   off again: that layer's gather in fprop and scatter in
//   dgrad
#ifndef AUTODIST_TUNE_FLAG_GROUPS_H_
#define AUTODIST_TUNE_FLAG_GROUPS_H_

#include <map>
#include <string>
#include <vector>

#include "autodist/spec/overlap.h"

namespace autodist::tune {

// How a site runs under given switches.
enum class SiteMode {
  kSequential,  // no userbuffers
  kOverlap,     // its overlapped setting
  kScatter,     // qkv_dgrad, fc1_dgrad: ring or pipeline of its own result
  kProduct,     // qkv_wgrad, fc1_wgrad after kScatter: the product alone
};

struct OverlapFlags {
  bool overlap_ag = false;
  bool overlap_rs = false;
  bool bulk_dgrad = false;
  bool bulk_wgrad = false;
  bool overlap_rs_dgrad = false;
  bool disable_qkv = false;
  bool disable_fc1 = false;
  bool operator==(const OverlapFlags&) const = default;

  bool any() const;  // whether tp_comm_overlap is on at all
};

SiteMode ModeOf(const OverlapFlags& flags, spec::OverlapSite site);

// Seconds of one site in each mode; infinity for one that it does not have or that failed.
struct SiteCosts {
  double sequential_s = 0.0;
  double overlap_s = 0.0;
  double scatter_s = 0.0;
  double product_s = 0.0;

  double Of(SiteMode mode) const;
};
using LayerCosts = std::map<spec::OverlapSite, SiteCosts>;

double LayerSeconds(const LayerCosts& costs, const OverlapFlags& flags);

// One switch: the best that the layer can do with it on, and with it off.
struct FlagDecision {
  std::string name;  // Megatron's
  bool on = false;
  double on_s = 0.0;
  double off_s = 0.0;
};

struct FlagChoice {
  OverlapFlags flags;
  double layer_s = 0.0;
  std::vector<FlagDecision> decisions;
};

// Tries all combinations. An overlapped site counts (1 + `preference`) times as long, so that what
// gains less than that stays off; layer_s and the decisions are without it. REQUIRES that some
// combination is finite, or returns an infinite layer_s.
FlagChoice ChooseFlags(const LayerCosts& costs, double preference);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_FLAG_GROUPS_H_
