#include "autodist/tune/simulated_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "autodist/core/random.h"
#include "autodist/planner/overlap_model.h"

namespace autodist::tune {
namespace {

// FNV-1a, so that a case's noise does not depend on which others are measured.
uint64_t HashOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : text) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001b3u;
  }
  return hash;
}

// Box and Muller, cut at three standard deviations: a time stays positive.
double Normal(uint64_t seed, uint64_t stream, uint64_t index) {
  const double u = 1.0 - core::UniformDouble(seed, stream, 2 * index);
  const double v = core::UniformDouble(seed, stream, 2 * index + 1);
  const double z = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  return std::clamp(z, -3.0, 3.0);
}

}  // namespace

SimulatedBackend::SimulatedBackend(spec::OverlapModel model, int64_t tokens,
                                   planner::OverlapMachine machine, double noise, uint64_t seed)
    : model_(std::move(model)),
      tokens_(tokens),
      machine_(std::move(machine)),
      noise_(noise),
      seed_(seed) {}

std::string SimulatedBackend::Description() const {
  return fmt::format(
      "simulated from formulas for {}, {:g} % noise: nothing was measured on a device",
      machine_.name, noise_ * 100);
}

CaseSample SimulatedBackend::Truth(const OverlapCase& overlap_case) const {
  const planner::OverlapProblem problem =
      planner::ProblemOf(model_, overlap_case.site, overlap_case.tp, tokens_);
  const planner::SiteTimes times = planner::TimesOf(problem, overlap_case.site, machine_);
  const planner::SettingTimes truth =
      planner::PredictSetting(problem, overlap_case.site, times, overlap_case.setting, machine_);
  return {.wall_s = truth.wall_s,
          .gemm_s = truth.gemm_s,
          .comm_s = truth.comm_s,
          .exposed_s = std::clamp(truth.wall_s - truth.gemm_s, 0.0, truth.comm_s)};
}

CaseResults SimulatedBackend::Measure(const std::vector<OverlapCase>& cases) {
  CaseResults results;
  for (const OverlapCase& overlap_case : cases) {
    ++measurements_;
    const CaseSample truth = Truth(overlap_case);
    const uint64_t stream = HashOf(overlap_case.Id());
    CaseResult result;
    for (int i = 0; i < overlap_case.repeats; ++i) {
      const auto noisy = [&](double seconds, int column) {
        return seconds *
               (1 + noise_ * Normal(seed_, stream, static_cast<uint64_t>(3 * i + column)));
      };
      CaseSample sample{.wall_s = noisy(truth.wall_s, 0),
                        .gemm_s = noisy(truth.gemm_s, 1),
                        .comm_s = noisy(truth.comm_s, 2)};
      sample.exposed_s = truth.wall_s > 0 ? truth.exposed_s / truth.wall_s * sample.wall_s : 0.0;
      result.samples.push_back(sample);
    }
    results[overlap_case.Id()] = std::move(result);
  }
  return results;
}

}  // namespace autodist::tune
