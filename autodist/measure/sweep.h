// Benchmarks over a grid of lengths, batch sizes, meshes and dtypes: a table, and plots of it.
#ifndef AUTODIST_MEASURE_SWEEP_H_
#define AUTODIST_MEASURE_SWEEP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"
#include "autodist/measure/bench.h"
#include "autodist/report/page.h"
#include "autodist/report/table.h"

namespace autodist::measure {

struct SweepPoint {
  int64_t prompt_length = 0;
  int64_t output_length = 0;
  int64_t batch_size = 1;
  int tp = 1;
  int pp = 1;
  std::string dtype = "auto";
  std::string weights = "auto";
};

// Every combination of its values is a point. No list is empty.
struct SweepGrid {
  std::vector<int64_t> prompt_lengths;
  std::vector<int64_t> output_lengths;
  std::vector<int64_t> batch_sizes;
  std::vector<int> tp;
  std::vector<int> pp;
  std::vector<std::string> dtypes;
  std::vector<std::string> weights;

  // Meshes and dtypes outermost, prompt lengths innermost.
  std::vector<SweepPoint> Points() const;
};

struct SweepResult {
  SweepPoint point;
  std::string skipped;  // why it was not run; empty: it was
  core::Json bench;     // the document of `bench --json`; null when skipped
};

struct SweepOptions {
  ModelRunnerOptions runner;  // what the grid does not say
  int repeats = 5;
  uint64_t seed = 1234;
  int64_t context_length = 0;  // of the model
};

// Runs every point on rank threads of this process, one after the other. A point that is refused
// (the lengths exceed the context, the heads cannot be split, the memory is too small) is skipped
// with the reason. `on_result` gets the results so far, at least one, after each point.
std::vector<SweepResult> RunSweep(
    const SweepGrid& grid, const SweepOptions& options,
    const std::function<void(const std::vector<SweepResult>&)>& on_result);

// A row per point; a skipped one has its reason and no figures.
report::Table ToTable(const std::vector<SweepResult>& results);
std::string ToText(const std::vector<SweepResult>& results);
core::Json ToJson(const std::vector<SweepResult>& results);
// `subject`: model and machine, in words.
report::Page ToPage(const std::vector<SweepResult>& results, const std::string& subject);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_SWEEP_H_
