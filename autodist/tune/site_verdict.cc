#include "autodist/tune/site_verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace autodist::tune {
namespace {

constexpr double kNearlyAll = 0.95;    // hidden share
constexpr double kSlowProduct = 1.05;  // product beside communication over product alone

// Of the fastest overlapped setting there is: what keeps it from max(G, C).
OverlapBound BoundOf(const SiteFindings& site, const MeasuredSetting* overlap,
                     const OverlapOptions& options) {
  const planner::SiteTimes& times = site.context.measured;
  if (times.rho() > 1) {
    const double latency_s = (site.context.tp - 1) * options.machine.latency_s;
    return latency_s > times.comm_s / 2 ? OverlapBound::kLatency : OverlapBound::kBandwidth;
  }
  if (overlap != nullptr && overlap->summary.mean.gemm_s > kSlowProduct * times.gemm_s &&
      overlap->overlap_case.setting.method != spec::OverlapMethod::kBulk)
    return OverlapBound::kContention;
  return OverlapBound::kGemm;
}

std::string BoundText(OverlapBound bound, const SiteFindings& site, const MeasuredSetting* overlap,
                      const OverlapOptions& options) {
  const planner::SiteTimes& times = site.context.measured;
  switch (bound) {
    case OverlapBound::kNone:
      return "";
    case OverlapBound::kBandwidth:
      return fmt::format(
          "bandwidth: the collective takes {:.2f} times as long as the product, and by the "
          "formulas "
          "could hide up to tp {:.1f}",
          times.rho(), planner::HideableTp(site.context.problem, options.machine));
    case OverlapBound::kLatency:
      return fmt::format("latency: the collective's steps take {:.2f} times as long as the product",
                         times.rho());
    case OverlapBound::kContention:
      return fmt::format("contention: the product is {:.0f} % slower beside communication",
                         100 * (overlap->summary.mean.gemm_s / times.gemm_s - 1));
    case OverlapBound::kGemm:
      break;
  }
  return overlap == nullptr
             ? "GEMM efficiency: cutting the product is predicted to cost more than it hides"
             : fmt::format(
                   "GEMM efficiency: in parts or on fewer multiprocessors the site takes {:.1f} "
                   "us, "
                   "the product alone {:.1f} us",
                   overlap->summary.mean.wall_s * 1e6, times.gemm_s * 1e6);
}

std::string SequentialReason(const MeasuredSetting* overlap, double sequential_s,
                             const std::string& bound) {
  if (overlap == nullptr) return "no overlapped setting is predicted to come near; " + bound;
  const double gain = 1 - overlap->summary.mean.wall_s / sequential_s;
  const std::string best = spec::Describe(overlap->overlap_case.setting);
  if (gain > 0.01)
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
