// How long a matrix product and its collective take, apart and overlapped by each method.
//
// Symbols, as in the formulas below: S tokens of the tensor-parallel group, H the dim that is
// communicated and D the other one of the weight, p ranks, b bytes per element, F the FLOP rate,
// BW the link, alpha the latency of a step, e chunk_overhead_s, s contention.
//
//   G = 2 S H D / (p F)            C = (p - 1) alpha + V / BW            V = S H b (p - 1) / p
//   rho = C / G ~ (p - 1) b F / (2 D BW): neither S nor H matter but for alpha
//
//   sequential     G + C
//   ring           t_g + (p - 1) max(s t_g, t_c) + p e  [+ R for a scatter]
//   ring, pairs    t_c + 2 t_g + (p / 2 - 1) 2 max(s t_g, t_c) + (p / 2) e
//   pipeline       max(s G, C) + min(s G, C) / n + n e
//   bulk           max(s G(M - m), V / min(BW, m bw) + (p - 1) alpha)
//
// with t_g = G / p, t_c = C / (p - 1), R = (p + 1) (S / p) H b / memory rate (the sum of the p
// parts that a scatter leaves), n splits, m of M multiprocessors, bw of one block, and G(M - m) a
// staircase: G * ceil(tiles / (M - m)) / ceil(tiles / M). Nothing here is measured; pure functions.
#ifndef AUTODIST_PLANNER_OVERLAP_MODEL_H_
#define AUTODIST_PLANNER_OVERLAP_MODEL_H_

#include <cstdint>
#include <vector>

#include "autodist/planner/overlap_machine.h"
#include "autodist/spec/overlap.h"

namespace autodist::planner {

// One product and its collective. All three passes of an operator share it: they have the same
// FLOPs, H and D.
struct OverlapProblem {
  int64_t tokens = 0;         // S
  int64_t hidden = 0;         // H
  int64_t other = 0;          // D
  int tp = 1;                 // p
  int64_t element_bytes = 2;  // b
  int64_t product_rows = 0;   // of the result of one rank: what its tiles cut
  int64_t product_cols = 0;
};

OverlapProblem ProblemOf(const spec::OverlapModel& model, spec::OverlapSite site, int tp,
                         int64_t tokens);

// Seconds of the product and of the collective, each alone.
struct SiteTimes {
  double gemm_s = 0.0;
  double comm_s = 0.0;
  double rho() const { return comm_s / gemm_s; }
};

double GemmSeconds(const OverlapProblem& problem, const OverlapMachine& machine);
double CollectiveBytes(const OverlapProblem& problem);  // V, per rank
double CollectiveSeconds(const OverlapProblem& problem, const OverlapMachine& machine);

// Both; comm_s is 0 for a site without a collective and for tp 1.
SiteTimes TimesOf(const OverlapProblem& problem, spec::OverlapSite site,
                  const OverlapMachine& machine);

// The largest tp, a real number, at which the whole collective can hide behind the product:
// p <= 1 + 2 D BW / (b F), alpha aside.
double HideableTp(const OverlapProblem& problem, const OverlapMachine& machine);

// The times of each method; `times` are those of the parts alone. REQUIRES tp >= 2.
double RingSeconds(const SiteTimes& times, int tp, const OverlapMachine& machine);
double RingPairsSeconds(const SiteTimes& times, int tp, const OverlapMachine& machine);
double ScatterSumSeconds(const OverlapProblem& problem, const OverlapMachine& machine);  // R
double PipelineSeconds(const SiteTimes& times, int splits, const OverlapMachine& machine);

// The parts of bulk: the product on M - m multiprocessors, and the collective by m blocks.
struct BulkTimes {
  double gemm_s = 0.0;
  double comm_s = 0.0;
  double wall_s() const { return gemm_s > comm_s ? gemm_s : comm_s; }
};
BulkTimes BulkSeconds(const OverlapProblem& problem, const SiteTimes& times, int num_sm,
                      const OverlapMachine& machine);

// What a setting takes at a site: wall, and product and communication as a trace would show them.
//
// A ring or pipeline at qkv_dgrad or fc1_dgrad scatters this product's own result, and the wgrad
// that follows has no collective left; the gather of the saved input, which bulk hides here, counts
// as if it stood alone before it (+ C). TransformerEngine starts that gather beside the product,
// but on multiprocessors that the product loses and on the link that the ring needs: what remains
// of C is for a measurement to say.
struct SettingTimes {
  double wall_s = 0.0;
  double gemm_s = 0.0;
  double comm_s = 0.0;
};
// REQUIRES the method to be defined for the site (tune/transformer_engine.h lists them).
SettingTimes PredictSetting(const OverlapProblem& problem, spec::OverlapSite site,
                            const SiteTimes& times, const spec::OverlapSetting& setting,
                            const OverlapMachine& machine);

// max(G, C), or G for a site without a collective: what no method can beat.
double LowerBound(const SiteTimes& times);

// The doubling rule: the last tp of `times` (seconds per tp, ascending from 1, each twice the one
// before) that is reached from the first by steps with T(2 p) <= T(p) / 2 * tolerance.
struct TpTime {
  int tp = 1;
  double seconds = 0.0;
};
int DoublingRule(const std::vector<TpTime>& times, double tolerance);

// Bytes of one rank for weights and gradients (2 + 4 per parameter, cut by tp) and the optimizer
// (12 per parameter, cut by all `devices`): the least that training needs without pipeline
// parallelism.
double TrainingStateBytes(const spec::OverlapModel& model, int tp, int devices);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_OVERLAP_MODEL_H_
