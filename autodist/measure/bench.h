// Times prefill and decode of a loaded model, beside the machine's limits.
#ifndef AUTODIST_MEASURE_BENCH_H_
#define AUTODIST_MEASURE_BENCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"
#include "autodist/measure/breakdown.h"

namespace autodist::measure {

struct BenchOptions {
  int64_t prompt_length = 512;
  int64_t output_length = 32;  // >= 2: the first token belongs to the prefill
  int64_t batch_size = 1;      // sequences, all of the same lengths
  int repeats = 5;
  uint64_t seed = 1234;  // of the random ids
};

// Rates of one repeat, and the limits: the mean of what was measured right before and right after.
struct BenchSample {
  double prefill_tokens_per_s = 0;  // all prompts' tokens over the time to the last first token
  double decode_tokens_per_s = 0;   // batch size over the median time of a decode step
  double first_token_s = 0;
  double communication_fraction = 0;
  Limits limits;
  PhaseBreakdown prefill;  // a step is the whole prefill
  PhaseBreakdown decode;   // a step gives one token to each sequence
};

struct BenchReport {
  double load_s = 0;
  std::vector<BenchSample> samples;
  // Weights that one decode step reads, all ranks together, and the KV cache at the middle of the
  // output.
  uint64_t bytes_per_token = 0;
  double flops_per_prompt_token = 0;  // of matrix products
  int64_t batch_size = 1;
  uint64_t peak_rss_bytes = 0;
  std::string gemm_engine;  // whose rate of matrix products it is: "oneDNN" or "autodist"

  // Of the decode rate: of what the read bandwidth allows. Of the prefill rate: of what the GEMM
  // rate allows.
  double DecodeFraction(const BenchSample& sample) const;
  double PrefillFraction(const BenchSample& sample) const;
};

// Collective over the processes of the job; the report is complete where runner.holds_rank0().
// Warms up once. REQUIRES that the runner records totals of operations (RunOptions::record_ops).
BenchReport RunBench(ModelRunner& runner, const BenchOptions& options);

// The document of `bench --json` (docs/json.md): medians over the repeats, the best beside them.
core::Json ToJson(const BenchReport& report);
std::string ToText(const BenchReport& report);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_BENCH_H_
