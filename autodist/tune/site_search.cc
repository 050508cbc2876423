#include "autodist/tune/site_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "autodist/tune/bisection.h"
#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;
using spec::OverlapSetting;

constexpr double kWorthMeasuring = 1.15;  // of the best prediction
constexpr double kTie = 1.005;
// Of communication: exposed at least so much, it waits for the product, or the product for it.
// Noise of the times alone takes a share away.
constexpr double kWaits = 0.7;
constexpr double kSmallError = 0.02;  // of a time: not worth another measurement
constexpr double kCalmSpread = 0.03;  // noise above it is answered with more repeats
constexpr int kMostRepeats = 8;  // times options.repeats: a case costs its start, not its repeats

class SiteSearch {
 public:
  SiteSearch(const OverlapOptions& options, Replay& replay, SiteFindings& findings)
      : options_(options), replay_(replay), findings_(findings) {}

  void Run() {
    const MeasuredSetting* const sequential = Measure({}, options_.repeats);
    if (sequential == nullptr) return;
    if (!sequential->failed()) Calibrate(*sequential);
    Pick();
    bool all = true;
    for (const OverlapSetting& setting : picked_) all &= Measure(setting, repeats_) != nullptr;
    if (bulk_guess_ > 0) all &= BisectBulk();
    findings_.complete = all && Confirm();
    std::sort(findings_.settings.begin(), findings_.settings.end(),
              [](const MeasuredSetting& a, const MeasuredSetting& b) {
                return a.overlap_case.setting < b.overlap_case.setting;
              });
  }

  const MeasuredSetting* Measure(const OverlapSetting& setting, int repeats);
  void ScaleRepeats(const MeasuredSetting& sequential);
  int repeats() const { return repeats_; }

 private:
  void Calibrate(const MeasuredSetting& sequential);
  void Pick();
  bool BisectBulk();
  bool Confirm();
  double Predicted(const OverlapSetting& setting) const {
    return PredictedSeconds(findings_.context, setting, options_);
  }

  const OverlapOptions& options_;
  Replay& replay_;
  SiteFindings& findings_;
  int repeats_ = 0;
  double sequential_s_ = 0.0;           // measured; 0: failed
  std::vector<OverlapSetting> picked_;  // bulk apart
  int bulk_guess_ = 0;                  // 0: bulk is not measured
};

// What was measured of the parts stands for what was believed of them.
void SiteSearch::Calibrate(const MeasuredSetting& sequential) {
  const CaseSample& mean = sequential.summary.mean;
  planner::SiteTimes& measured = findings_.context.measured;
  sequential_s_ = mean.wall_s;
  ScaleRepeats(sequential);
  const bool beside = spec::CollectiveOf(findings_.context.site) == spec::SiteCollective::kBeside;
  if (beside && mean.comm_s > 0 && mean.exposed_s < kWaits * mean.comm_s) {
    findings_.hidden_anyway = 1 - mean.exposed_s / mean.comm_s;
    if (!findings_.context.fprop) return;
    measured = *findings_.context.fprop;
  } else {
    if (mean.gemm_s > 0) measured.gemm_s = mean.gemm_s;
    if (mean.comm_s > 0) measured.comm_s = mean.comm_s;
  }
  findings_.alone = measured;
}

// The error of a mean falls with the root of the repeats.
void SiteSearch::ScaleRepeats(const MeasuredSetting& sequential) {
  const double ratio = sequential.summary.wall_spread / kCalmSpread;
  const double factor = std::clamp(ratio * ratio, 1.0, double{kMostRepeats});
  repeats_ = static_cast<int>(std::ceil(factor * options_.repeats));
}

const MeasuredSetting* SiteSearch::Measure(const OverlapSetting& setting, int repeats) {
  MeasuredSetting measured;
  measured.overlap_case = {.tp = findings_.context.tp,
                           .site = findings_.context.site,
                           .setting = setting,
                           .repeats = std::max(repeats, options_.repeats)};
  const CaseResult* const result = replay_.Find(measured.overlap_case);
  if (result == nullptr) return nullptr;
  SiteContext believed = findings_.context;
  believed.measured = believed.believed;
  measured.predicted_s = PredictedSeconds(believed, setting, options_);
  measured.error = result->error;
  measured.applied = result->applied;
  measured.profiler_ratio = result->profiler_ratio;
  if (!result->failed()) measured.summary = Summarise(result->samples);
  findings_.settings.push_back(std::move(measured));
  return &findings_.settings.back();
}

// Which settings are near enough to the best prediction; of bulk, where its bisection begins.
void SiteSearch::Pick() {
  const std::vector<OverlapSetting> all = AllSettings(findings_.context, options_);
  const double sequential_s = sequential_s_ > 0 ? sequential_s_ : Predicted({});
  double bulk_s = std::numeric_limits<double>::infinity();
  for (const OverlapSetting& setting : all) {
    if (setting.method != OverlapMethod::kBulk || Predicted(setting) >= bulk_s) continue;
    bulk_s = Predicted(setting);
    bulk_guess_ = setting.num_sm;
  }
  // Scattering here spares the wgrad its collective: about what bulk costs beyond the product.
  const double spared_s = std::min(bulk_s, sequential_s) - findings_.context.measured.gemm_s;
  const auto cost_s = [&](const OverlapSetting& setting) {
    const bool scatters = ScattersDgrad(findings_.context.site, setting.method);
    return Predicted(setting) - (scatters ? spared_s : 0.0);
  };
  double best_s = sequential_s;
  for (const OverlapSetting& setting : all) best_s = std::min(best_s, cost_s(setting));
  if (bulk_s > kWorthMeasuring * best_s) bulk_guess_ = 0;
  bool overlaps = bulk_guess_ > 0;
  for (const OverlapSetting& setting : all) {
    if (setting.method == OverlapMethod::kSequential || setting.method == OverlapMethod::kBulk ||
        cost_s(setting) > kWorthMeasuring * best_s)
      continue;
    picked_.push_back(setting);
    overlaps |= !ScattersDgrad(findings_.context.site, setting.method);
  }
  if (overlaps) return;
  for (const OverlapSetting& setting : all) {
    if (setting.method == OverlapMethod::kSequential ||
        ScattersDgrad(findings_.context.site, setting.method))
      continue;
    if (findings_.unmeasured && Predicted(setting) >= findings_.unmeasured_s) continue;
    findings_.unmeasured = setting;
    findings_.unmeasured_s = Predicted(setting);
  }
}

// False: a result is missing.
bool SiteSearch::BisectBulk() {
  std::map<int, double> ratios;
  while (true) {
    const std::vector<int> questions =
        NextQuestions(options_.min_num_sm, options_.max_num_sm, bulk_guess_, ratios);
    if (questions.empty()) return true;
    bool all = true;
    for (const int num_sm : questions) {
      const MeasuredSetting* const bulk = Measure(BulkSetting(num_sm, options_), repeats_);
      all &= bulk != nullptr;
      // A failed case cannot be chosen: as if more blocks were needed.
      if (bulk != nullptr)
        ratios[num_sm] = bulk->failed() || bulk->summary.mean.gemm_s <= 0
                             ? std::numeric_limits<double>::infinity()
                             : bulk->summary.mean.comm_s / bulk->summary.mean.gemm_s;
    }
    if (!all) return false;
  }
}

// Measures the two fastest methods again when they are not told apart; of one method, neighbours
// are equal by nature. False: a result is missing.
bool SiteSearch::Confirm() {
  MeasuredSetting* first = nullptr;
  MeasuredSetting* second = nullptr;
  const auto keep_faster = [](MeasuredSetting*& best, MeasuredSetting& other) {
    if (best == nullptr || other.summary.mean.wall_s < best->summary.mean.wall_s) best = &other;
  };
  const auto competes = [&](const MeasuredSetting& setting) {
    return !setting.failed() &&
           !ScattersDgrad(findings_.context.site, setting.overlap_case.setting.method);
  };
  for (MeasuredSetting& setting : findings_.settings)
    if (competes(setting)) keep_faster(first, setting);
  if (first == nullptr) return true;
  for (MeasuredSetting& setting : findings_.settings)
    if (competes(setting) &&
        setting.overlap_case.setting.method != first->overlap_case.setting.method)
      keep_faster(second, setting);
  if (second == nullptr) return true;
  const double distance_s = second->summary.mean.wall_s - first->summary.mean.wall_s;
  if (distance_s > 2 * std::hypot(first->summary.wall_error_s, second->summary.wall_error_s))
    return true;
  bool all = true;
  for (MeasuredSetting* const setting : {first, second}) {
    // The wrong choice costs about the error.
    if (setting->summary.wall_error_s < kSmallError * setting->summary.mean.wall_s) continue;
    OverlapCase again = setting->overlap_case;
    again.attempt = 1;
    again.repeats = std::max(repeats_, again.repeats);
    const CaseResult* const result = replay_.Find(again);
    all &= result != nullptr;
    if (result == nullptr || result->failed()) continue;
    std::vector<CaseSample> samples = replay_.Find(setting->overlap_case)->samples;
    samples.insert(samples.end(), result->samples.begin(), result->samples.end());
    setting->summary = Summarise(samples);
  }
  return all;
}

// The fastest of those that `belongs` accepts, with the fewest blocks among its equals.
template <typename Belongs>
const MeasuredSetting* Best(const std::vector<MeasuredSetting>& settings, const Belongs& belongs) {
  double best_s = std::numeric_limits<double>::infinity();
  for (const MeasuredSetting& setting : settings)
    if (!setting.failed() && belongs(setting))
      best_s = std::min(best_s, setting.summary.mean.wall_s);
  const MeasuredSetting* best = nullptr;
  for (const MeasuredSetting& setting : settings) {
    if (setting.failed() || !belongs(setting)) continue;
    if (setting.summary.mean.wall_s > kTie * best_s) continue;
    if (best == nullptr || setting.overlap_case.setting.num_sm < best->overlap_case.setting.num_sm)
      best = &setting;
  }
  return best;
}

}  // namespace

const MeasuredSetting* SiteFindings::sequential() const {
  return Best(settings, [](const MeasuredSetting& setting) {
    return setting.overlap_case.setting.method == OverlapMethod::kSequential;
  });
}

const MeasuredSetting* SiteFindings::BestOverlap() const {
  return Best(settings, [&](const MeasuredSetting& setting) {
    const OverlapMethod method = setting.overlap_case.setting.method;
    return method != OverlapMethod::kSequential && !ScattersDgrad(context.site, method);
  });
}

const MeasuredSetting* SiteFindings::BestScattering() const {
  return Best(settings, [&](const MeasuredSetting& setting) {
    return ScattersDgrad(context.site, setting.overlap_case.setting.method);
  });
}

SiteFindings SearchSite(SiteContext context, const OverlapOptions& options, Replay& replay) {
  SiteFindings findings{.context = std::move(context)};
  SiteSearch(options, replay, findings).Run();
  return findings;
}

void AddSetting(const OverlapSetting& setting, const OverlapOptions& options, Replay& replay,
                SiteFindings& findings) {
  SiteSearch search(options, replay, findings);
  if (const MeasuredSetting* const sequential = findings.sequential())
    search.ScaleRepeats(*sequential);
  if (search.Measure(setting, search.repeats()) == nullptr) findings.complete = false;
}

}  // namespace autodist::tune
