// The public API: a HuggingFace checkpoint, split over ranks, ready to generate.
//
//   autodist::ModelRunner runner({.model_name_or_path = "models/story-2m", .tensor_parallel_size =
//   2}); std::vector<int32_t> ids = runner.Generate({1, 422, 9}, 20);
#ifndef AUTODIST_INFER_MODEL_RUNNER_H_
#define AUTODIST_INFER_MODEL_RUNNER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/op_log.h"
#include "autodist/infer/sampling_options.h"
#include "autodist/infer/stop_rules.h"
#include "autodist/infer/timing.h"
#include "autodist/runtime/run_options.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"
#include "autodist/text/tokenizer.h"

namespace autodist {

// runtime/run_options.h documents each field.
using ModelRunnerOptions = runtime::RunOptions;
using runtime::LoadReport;

struct GenerateRequest {
  // Token ids, taken as they are. At least one prompt; each holds at least one id in [0,
  // vocabulary).
  std::vector<std::vector<int32_t>> prompts = {};
  infer::SamplingOptions sampling = {};
  // Generated tokens.
  int64_t min_output_length = 1;
  int64_t max_output_length = 157;
  // An end-of-sequence id is then a token like any other.
  bool ignore_eos = false;
  // Ends a sequence when its text holds one of these; needs `tokenizer`. The text ends before the
  // string.
  std::vector<std::string> stop = {};
  // When given, its eos and pad tokens end a sequence too.
  const text::Tokenizer* tokenizer = nullptr;
  // Called in the process of rank 0, from a thread of the runner: for each token of each prompt, in
  // order of the prompt's tokens; finished is set with the last one. May be empty. Must not call
  // the runner.
  std::function<void(size_t prompt, int32_t id, std::optional<infer::FinishReason> finished)>
      on_token = {};
  // Called on every rank, from its thread, before each forward call; what it throws ends the run on
  // all of them. May be empty.
  std::function<void()> check_cancelled = {};
};

struct GeneratedSequence {
  std::vector<int32_t> token_ids;  // generated ones only, the stopping EOS included
  infer::FinishReason finish_reason = infer::FinishReason::kLength;
};

struct GenerateResult {
  std::vector<GeneratedSequence> sequences;  // in the order of the prompts
  infer::Timing timing;                      // measured where rank 0 runs; empty in other processes
  // Of each rank, with ModelRunnerOptions::record_ops of kTotals or more; else empty.
  std::vector<device::OpTotals> op_totals;
};

// Ranks are threads of this process unless a launcher (torchrun's variables, mpirun) started
// several processes; then each process is one rank and all must make the same calls.
// Thread-compatible. Every call throws core::Error; after an error that ended a run only
// WriteTrace() and destruction are allowed.
class ModelRunner {
 public:
  // Plans, checks that the plan fits, starts the ranks and loads each rank's weights.
  explicit ModelRunner(const ModelRunnerOptions& options);
  ~ModelRunner();

  // The ids that follow input_ids, at most max_length (generated tokens), greedily.
  std::vector<int32_t> Generate(const std::vector<int32_t>& input_ids, int64_t max_length);

  // Many prompts, all options. Throws core::Error (bad input) for an id outside the vocabulary, an
  // empty prompt, a prompt longer than the context, or an option out of its range.
  GenerateResult Generate(const GenerateRequest& request);

  // Logits at every position, in f32 without padding. `sink` gets [rows, vocabulary] blocks in
  // order, in the process of rank 0.
  void Logits(const std::vector<int32_t>& input_ids,
              const std::function<void(int64_t first_row, core::ConstTensorView rows)>& sink);

  // What every rank did since it was started, as one trace (infer/op_trace.h). The process of rank
  // 0 writes the file. REQUIRES ModelRunnerOptions::record_ops of kEvents. After an error that
  // ended a run it is allowed in the process of rank 0, and writes what the ranks of this process
  // did.
  void WriteTrace(const std::filesystem::path& path);

  const spec::ModelConfig& config() const;
  const spec::ParallelPlan& plan() const;
  const std::vector<int32_t>& eos_ids() const;      // of the model's files
  const std::vector<std::string>& remarks() const;  // about the checkpoint and this host
  const LoadReport& load_report() const;
  int threads_per_rank() const;
  bool holds_rank0() const;  // results are printed by the process that does

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace autodist

#endif  // AUTODIST_INFER_MODEL_RUNNER_H_
