// The answer that a search is compared with: every setting of every site, without noise.
#ifndef AUTODIST_TUNE_TESTING_EXHAUSTIVE_H_
#define AUTODIST_TUNE_TESTING_EXHAUSTIVE_H_

#include "autodist/tune/overlap_options.h"
#include "autodist/tune/overlap_search.h"
#include "autodist/tune/simulated_backend.h"

namespace autodist::tune {

struct ExhaustiveSize {
  int64_t measurements = 0;  // of all settings of all sites
  double layer_s = 0.0;      // the best that any settings and any switches give
};

ExhaustiveSize Exhaust(const spec::OverlapModel& model, const OverlapOptions& options, int tp,
                       const SimulatedBackend& truth);

// Where the doubling rule ends on the exhaustive layer times, and how close it was: the smallest
// |T(2 tp) / limit - 1| of its steps.
struct ExhaustiveEnd {
  int tp = 1;
  double margin = 1.0;
};
ExhaustiveEnd ExhaustiveTp(const spec::OverlapModel& model, const OverlapOptions& options,
                           const SimulatedBackend& truth);

// The true time of a layer with what was chosen for it.
double TrueLayerSeconds(const TpFindings& size, const SimulatedBackend& truth);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_TESTING_EXHAUSTIVE_H_
