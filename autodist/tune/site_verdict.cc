#include "autodist/tune/site_verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace autodist::tune {
namespace {

constexpr double kNearlyAll = 0.95;    // hidden share
constexpr double kSlowProduct = 1.05;  // of a product beside communication

// The steps of a ring each hide one transfer behind one part of the product; the other methods one
// collective behind one product.
bool InSteps(const SiteFindings& site, const MeasuredSetting* overlap) {
  if (overlap != nullptr)
    return overlap->overlap_case.setting.method == spec::OverlapMethod::kRingExchange;
  return spec::CollectiveOf(site.context.site) != spec::SiteCollective::kBeside;
}

// What communication takes over the product that should hide it: (C / (p - 1)) / (G / p) of a ring.
double HidingRatio(const SiteFindings& site, const MeasuredSetting* overlap) {
  const double tp = site.context.tp;
  return site.context.measured.rho() * (InSteps(site, overlap) ? tp / (tp - 1) : 1);
}

// How much slower the product is than a staircase of waves on the multiprocessors that bulk leaves
// explains. 1 for the others: small parts are slow without any communication beside them.
double Contention(const SiteFindings& site, const MeasuredSetting* overlap,
                  const OverlapOptions& options) {
  if (overlap == nullptr || overlap->overlap_case.setting.method != spec::OverlapMethod::kBulk)
    return 1;
  planner::OverlapMachine calm = options.machine;
  calm.contention = 1;
  const double expected_s = planner::BulkSeconds(site.context.problem, site.context.measured,
                                                 overlap->overlap_case.setting.num_sm, calm)
                                .gemm_s;
  return overlap->summary.mean.gemm_s / expected_s;
}

// Of the fastest overlapped setting there is: what keeps it from max(G, C).
OverlapBound BoundOf(const SiteFindings& site, const MeasuredSetting* overlap,
                     const OverlapOptions& options) {
  if (HidingRatio(site, overlap) > 1) {
    const double latency_s = (site.context.tp - 1) * options.machine.latency_s;
    return latency_s > site.context.measured.comm_s / 2 ? OverlapBound::kLatency
                                                        : OverlapBound::kBandwidth;
  }
  return Contention(site, overlap, options) > kSlowProduct ? OverlapBound::kContention
                                                           : OverlapBound::kGemm;
}

std::string BoundText(OverlapBound bound, const SiteFindings& site, const MeasuredSetting* overlap,
                      const OverlapOptions& options) {
  const planner::SiteTimes& times = site.context.measured;
  const bool steps = InSteps(site, overlap);
  const std::string ratio = fmt::format(
      "{} takes {:.2f} times as long as {}", steps ? "a step of the ring" : "the collective",
      HidingRatio(site, overlap), steps ? "its part of the product" : "the product");
  switch (bound) {
    case OverlapBound::kNone:
      return "";
    case OverlapBound::kBandwidth:
      // Of a ring the last step hides nothing: p <= 2 D BW / (b F).
      return fmt::format(
          "bandwidth: {}, and by the formulas could hide up to tp {:.1f}", ratio,
          planner::HideableTp(site.context.problem, options.machine) - (steps ? 1 : 0));
    case OverlapBound::kLatency:
      return fmt::format("latency: {}, more than half of it for its steps", ratio);
    case OverlapBound::kContention:
      return fmt::format("contention: the product is {:.0f} % slower beside communication",
                         100 * (Contention(site, overlap, options) - 1));
    case OverlapBound::kGemm:
      break;
  }
  if (overlap == nullptr)
    return "GEMM efficiency: cutting the product is predicted to cost more than it hides";
  return fmt::format("GEMM efficiency: {} the site takes {:.1f} us, the product alone {:.1f} us",
                     overlap->overlap_case.setting.method == spec::OverlapMethod::kBulk
                         ? "on fewer multiprocessors"
                         : "in parts",
                     overlap->summary.mean.wall_s * 1e6, times.gemm_s * 1e6);
}

std::string SequentialReason(const MeasuredSetting* overlap, double sequential_s,
                             const std::string& bound) {
  if (overlap == nullptr) return "no overlapped setting is predicted to come near; " + bound;
  const double gain = 1 - overlap->summary.mean.wall_s / sequential_s;
  const std::string best = spec::Describe(overlap->overlap_case.setting);
  if (gain > kPreferSequential)
    return fmt::format(
        "{} alone would save {:.1f} %, but the switch of its group loses more elsewhere", best,
        100 * gain);
  return fmt::format("{} {}; {}", best,
                     gain >= 0 ? fmt::format("saves only {:.1f} %", 100 * gain)
                               : fmt::format("is {:.1f} % slower", -100 * gain),
                     bound);
}

}  // namespace

std::string_view NameOf(OverlapBound bound) {
  constexpr std::string_view kNames[] = {"none", "bandwidth", "latency", "gemm_efficiency",
                                         "contention"};
  return kNames[static_cast<size_t>(bound)];
}

SiteVerdict JudgeSite(const TpFindings& size, const SiteFindings& site,
                      const OverlapOptions& options) {
  SiteVerdict verdict;
  verdict.chosen = ChosenSetting(size, site);
  verdict.seconds = ChosenSeconds(size, site);
  const SiteMode mode = ModeOf(size.flags.flags, site.context.site);
  verdict.overlapped = mode == SiteMode::kOverlap || mode == SiteMode::kScatter;
  const double comm_s = site.context.measured.comm_s;
  if (mode == SiteMode::kProduct) {
    verdict.hidden = 1;
    verdict.reason = "no communication left: the gradient was scattered with its own product";
    return verdict;
  }
  if (comm_s <= 0) {
    verdict.hidden = 1;
    verdict.reason = "no communication";
    return verdict;
  }
  if (verdict.chosen == nullptr) {
    verdict.reason = "every case failed";
    return verdict;
  }
  verdict.exposed_s = verdict.chosen->summary.mean.exposed_s;
  verdict.hidden =
      1 - std::clamp(verdict.exposed_s / verdict.chosen->summary.mean.comm_s, 0.0, 1.0);
  const MeasuredSetting* const overlap = site.BestOverlap();
  if (!verdict.overlapped || verdict.hidden < kNearlyAll)
    verdict.bound = BoundOf(site, overlap, options);
  const std::string bound = BoundText(verdict.bound, site, overlap, options);
  const MeasuredSetting* const sequential = site.sequential();
  if (mode == SiteMode::kScatter) {
    verdict.reason = "scatters its own product, which leaves the wgrad without a collective";
  } else if (!verdict.overlapped) {
    verdict.reason = SequentialReason(overlap, verdict.seconds, bound);
    if (site.hidden_anyway > 0)
      verdict.reason += fmt::format("; without userbuffers {:.0f} % are hidden already",
                                    100 * site.hidden_anyway);
  } else if (sequential == nullptr) {
    verdict.reason = "without overlap the case failed";
  } else {
    verdict.reason = fmt::format("saves {:.1f} % against sequential",
                                 100 * (1 - verdict.seconds / sequential->summary.mean.wall_s)) +
                     (bound.empty() ? "" : "; " + bound);
  }
  return verdict;
}

}  // namespace autodist::tune
