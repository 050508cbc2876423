#include "autodist/planner/stages.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// best[end] after stage s: the smallest cost of giving layers [0, end) to stages 0..s. `combine`
// adds one stage's load to the cost so far. `cut`, when given, receives for each (s, end) where
// stage s begins.
template <typename Combine>
double Sweep(int64_t layers, int stages, const StageLoad& load, Combine combine,
             std::vector<std::vector<int64_t>>* cut) {
  std::vector<double> best(static_cast<size_t>(layers) + 1, kInfinity);
  best[0] = 0.0;
  for (int stage = 0; stage < stages; ++stage) {
    std::vector<double> next(best.size(), kInfinity);
    if (cut != nullptr) cut->emplace_back(best.size(), -1);
    const int64_t last_end = layers - (stages - 1 - stage);  // each later stage needs a layer
    const int64_t first_end = stage + 1 < stages ? stage + 1 : layers;
    for (int64_t end = first_end; end <= last_end; ++end) {
      const size_t e = static_cast<size_t>(end);
      // Downwards, so that of equal costs the stage with fewer layers wins: the first stages take
      // the remainder.
      for (int64_t begin = end - 1; begin >= stage; --begin) {
        const double so_far = best[static_cast<size_t>(begin)];
        if (so_far == kInfinity) continue;
        const double cost = combine(so_far, load(stage, {begin, end}));
        if (cost >= next[e]) continue;
        next[e] = cost;
        if (cut != nullptr) cut->back()[e] = begin;
      }
    }
    best = std::move(next);
  }
  return best[static_cast<size_t>(layers)];
}

}  // namespace

std::vector<spec::Range> BalanceStages(int64_t layers, int stages, const StageLoad& load) {
  AUTODIST_CHECK_GE(stages, 1);
  AUTODIST_CHECK_LE(stages, layers);
  const double limit = Sweep(
      layers, stages, load, [](double cost, double stage) { return std::max(cost, stage); },
      nullptr);
  std::vector<std::vector<int64_t>> cut;
  const double total = Sweep(
      layers, stages, load,
      [limit](double cost, double stage) {
        return stage <= limit ? cost + stage * stage : kInfinity;
      },
      &cut);
  AUTODIST_CHECK(total < kInfinity);
  std::vector<spec::Range> ranges(static_cast<size_t>(stages));
  int64_t end = layers;
  for (size_t stage = ranges.size(); stage-- > 0;) {
    const int64_t begin = cut[stage][static_cast<size_t>(end)];
    ranges[stage] = {begin, end};
    end = begin;
  }
  AUTODIST_CHECK_EQ(end, 0);
  return ranges;
}

std::vector<spec::Range> StagesFromLayout(int64_t layers, int stages,
                                          const std::vector<int64_t>& stage_layers) {
  // Sizes are checked before they are summed, so that the sum cannot overflow.
  const bool plausible = std::all_of(stage_layers.begin(), stage_layers.end(),
                                     [&](int64_t count) { return count >= 1 && count <= layers; });
  const bool fits = plausible && stage_layers.size() == static_cast<size_t>(stages) &&
                    std::accumulate(stage_layers.begin(), stage_layers.end(), int64_t{0}) == layers;
  if (!fits)
    throw core::BadInput(
        "--stage-layers {} does not fit: it must give {} stages (pipeline_parallel_size) at least "
        "one "
        "layer each and sum to the model's {} layers",
        fmt::join(stage_layers, ","), stages, layers);
  std::vector<spec::Range> ranges;
  int64_t first = 0;
  for (const int64_t count : stage_layers) {
    ranges.push_back({first, first + count});
    first += count;
  }
  return ranges;
}

}  // namespace autodist::planner
