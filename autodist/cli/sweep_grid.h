// The value of --grid: "prompt-length=128,512;tp=1,2".
#ifndef AUTODIST_CLI_SWEEP_GRID_H_
#define AUTODIST_CLI_SWEEP_GRID_H_

#include <functional>
#include <string_view>

#include "autodist/measure/sweep.h"

namespace autodist::cli {

// Lists behind keys that are named after their flags: prompt-length, output-length, batch-size, tp,
// pp, dtype, weights; those not given stay as in `grid`. Throws core::Error for an unknown key, a
// key given twice, an empty list, a value that its flag would not take, or a key whose flag is
// `given` too.
measure::SweepGrid ParseGrid(std::string_view text, measure::SweepGrid grid,
                             const std::function<bool(std::string_view key)>& given);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_SWEEP_GRID_H_
