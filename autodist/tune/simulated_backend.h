// Measurements from the formulas of planner/overlap_model.h, with noise.
#ifndef AUTODIST_TUNE_SIMULATED_BACKEND_H_
#define AUTODIST_TUNE_SIMULATED_BACKEND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/planner/overlap_machine.h"
#include "autodist/tune/overlap_backend.h"

namespace autodist::tune {

class SimulatedBackend final : public OverlapBackend {
 public:
  // `machine` is the truth, which need not be what the tuner believes. Each repeat's wall, product
  // and communication time is multiplied by 1 + noise * z with independent normal z, cut at 3:
  // functions of seed, case and repeat alone.
  SimulatedBackend(spec::OverlapModel model, int64_t tokens, planner::OverlapMachine machine,
                   double noise, uint64_t seed);

  std::string Description() const override;
  CaseResults Measure(const std::vector<OverlapCase>& cases) override;

  // Without noise.
  CaseSample Truth(const OverlapCase& overlap_case) const;
  int64_t measurements() const { return measurements_; }  // cases so far, repeats not counted

 private:
  spec::OverlapModel model_;
  int64_t tokens_;
  planner::OverlapMachine machine_;
  double noise_;
  uint64_t seed_;
  int64_t measurements_ = 0;
};

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_SIMULATED_BACKEND_H_
