// The value of --grid: "prompt-length=128,512;tp=1,2".
#ifndef AUTODIST_CLI_SWEEP_GRID_H_
#define AUTODIST_CLI_SWEEP_GRID_H_

#include <string_view>

#include "autodist/measure/sweep.h"

namespace autodist::cli {

// Lists behind keys that are named after their flags: prompt-length, output-length, batch-size, tp,
// pp, dtype, weights; those not given stay as in `grid`. Throws core::Error for an unknown key, a
// key given twice, an empty list, or a value that its flag would not take.
measure::SweepGrid ParseGrid(std::string_view text, measure::SweepGrid grid);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_SWEEP_GRID_H_
