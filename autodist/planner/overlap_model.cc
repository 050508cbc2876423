#include "autodist/planner/overlap_model.h"

#include <algorithm>
#include <cmath>

#include "autodist/core/check.h"

namespace autodist::planner {
namespace {

constexpr int64_t kTile = 128;  // rows and columns of the result that one block computes

double TileCount(const OverlapProblem& problem) {
  const int64_t rows = (problem.product_rows + kTile - 1) / kTile;
  const int64_t cols = (problem.product_cols + kTile - 1) / kTile;
  return static_cast<double>(rows * cols);
}

double Waves(double tiles, int sms) { return std::ceil(tiles / std::max(sms, 1)); }

}  // namespace

OverlapProblem ProblemOf(const spec::OverlapModel& model, spec::OverlapSite site, int tp,
                         int64_t tokens) {
  const spec::LinearShape shape = spec::ShapeOf(model, site.op);
  const bool column = spec::IsColumn(site.op);
  const int64_t inputs = column ? shape.inputs : shape.inputs / tp;
  const int64_t outputs = column ? shape.outputs / tp : shape.outputs;
  OverlapProblem problem{.tokens = tokens,
                         .hidden = column ? shape.inputs : shape.outputs,
                         .other = column ? shape.outputs : shape.inputs,
                         .tp = tp};
  problem.product_rows = site.pass == spec::LinearPass::kWgrad ? outputs : tokens;
  problem.product_cols = site.pass == spec::LinearPass::kFprop ? outputs : inputs;
  return problem;
}

double GemmSeconds(const OverlapProblem& problem, const OverlapMachine& machine) {
  return 2.0 * static_cast<double>(problem.tokens) * static_cast<double>(problem.hidden) *
         static_cast<double>(problem.other) / (problem.tp * machine.flops_per_s);
}

double CollectiveBytes(const OverlapProblem& problem) {
  return static_cast<double>(problem.tokens) * static_cast<double>(problem.hidden) *
         static_cast<double>(problem.element_bytes) * (problem.tp - 1) / problem.tp;
}

double CollectiveSeconds(const OverlapProblem& problem, const OverlapMachine& machine) {
  return (problem.tp - 1) * machine.latency_s + CollectiveBytes(problem) / machine.link_bytes_per_s;
}

SiteTimes TimesOf(const OverlapProblem& problem, spec::OverlapSite site,
                  const OverlapMachine& machine) {
  const bool alone = spec::CollectiveOf(site) == spec::SiteCollective::kNothing || problem.tp == 1;
  return {.gemm_s = GemmSeconds(problem, machine),
          .comm_s = alone ? 0.0 : CollectiveSeconds(problem, machine)};
}

double HideableTp(const OverlapProblem& problem, const OverlapMachine& machine) {
  return 1 + 2.0 * static_cast<double>(problem.other) * machine.link_bytes_per_s /
                 (static_cast<double>(problem.element_bytes) * machine.flops_per_s);
}

double RingSeconds(const SiteTimes& times, int tp, const OverlapMachine& machine) {
  const double chunk_s = times.gemm_s / tp, send_s = times.comm_s / (tp - 1);
  return chunk_s + (tp - 1) * std::max(machine.contention * chunk_s, send_s) +
         tp * machine.chunk_overhead_s;
}

double RingPairsSeconds(const SiteTimes& times, int tp, const OverlapMachine& machine) {
  const double chunk_s = times.gemm_s / tp, send_s = times.comm_s / (tp - 1);
  return send_s + 2 * chunk_s +
         (tp / 2.0 - 1) * 2 * std::max(machine.contention * chunk_s, send_s) +
         tp / 2.0 * machine.chunk_overhead_s;
}

double ScatterSumSeconds(const OverlapProblem& problem, const OverlapMachine& machine) {
  return (problem.tp + 1.0) * static_cast<double>(problem.tokens) / problem.tp *
         static_cast<double>(problem.hidden) * static_cast<double>(problem.element_bytes) /
         machine.memory_bytes_per_s;
}

double PipelineSeconds(const SiteTimes& times, int splits, const OverlapMachine& machine) {
  const double gemm_s = machine.contention * times.gemm_s;
  return std::max(gemm_s, times.comm_s) + std::min(gemm_s, times.comm_s) / splits +
         splits * machine.chunk_overhead_s;
}

BulkTimes BulkSeconds(const OverlapProblem& problem, const SiteTimes& times, int num_sm,
                      const OverlapMachine& machine) {
  const double tiles = TileCount(problem);
  const double waves = Waves(tiles, machine.sm_count - num_sm) / Waves(tiles, machine.sm_count);
  // The link's own time is that of the collective alone, which may have been measured.
  const double latency_s = (problem.tp - 1) * machine.latency_s;
  const double by_blocks = CollectiveBytes(problem) / (num_sm * machine.sm_bytes_per_s) + latency_s;
  return {.gemm_s = machine.contention * times.gemm_s * waves,
          .comm_s = std::max(times.comm_s, by_blocks)};
}

SettingTimes PredictSetting(const OverlapProblem& problem, spec::OverlapSite site,
                            const SiteTimes& times, const spec::OverlapSetting& setting,
                            const OverlapMachine& machine) {
  const spec::SiteCollective collective = spec::CollectiveOf(site);
  const double busy_s = machine.contention * times.gemm_s;
  // Of a gather there is nothing to sum; beside a product it is the ring of that product's result.
  const double sum_s =
      collective == spec::SiteCollective::kGather ? 0.0 : ScatterSumSeconds(problem, machine);
  const double alone_s = collective == spec::SiteCollective::kBeside ? times.comm_s : 0.0;
  switch (setting.method) {
    case spec::OverlapMethod::kRingExchange: {
      const double ring_s = setting.aggregate ? RingPairsSeconds(times, problem.tp, machine)
                                              : RingSeconds(times, problem.tp, machine);
      return {ring_s + sum_s + alone_s, busy_s, times.comm_s + alone_s};
    }
    case spec::OverlapMethod::kPipeline:
      return {PipelineSeconds(times, setting.num_splits, machine) + alone_s, busy_s,
              times.comm_s + alone_s};
    case spec::OverlapMethod::kBulk: {
      const BulkTimes bulk = BulkSeconds(problem, times, setting.num_sm, machine);
      return {bulk.wall_s(), bulk.gemm_s, bulk.comm_s};
    }
    case spec::OverlapMethod::kSequential:
      return {times.gemm_s + times.comm_s, times.gemm_s, times.comm_s};
    case spec::OverlapMethod::kExternal:
      break;
  }
  AUTODIST_CHECK(setting.method != spec::OverlapMethod::kExternal);
  return {};
}

double LowerBound(const SiteTimes& times) { return std::max(times.gemm_s, times.comm_s); }

int DoublingRule(const std::vector<TpTime>& times, double tolerance) {
  AUTODIST_CHECK(!times.empty());
  size_t last = 0;
  while (last + 1 < times.size() && times[last + 1].seconds <= times[last].seconds / 2 * tolerance)
    ++last;
  return times[last].tp;
}

double TrainingStateBytes(const spec::OverlapModel& model, int tp, int devices) {
  const double parameters = static_cast<double>(model.parameters);
  return parameters * 6 / tp + parameters * 12 / devices;
}

}  // namespace autodist::planner
