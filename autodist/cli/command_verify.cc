#include <fmt/ranges.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/checkpoint/weight_reader.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
#include "autodist/cli/summary.h"
#include "autodist/cli/trace_flag.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"
#include "autodist/measure/verification.h"
#include "autodist/runtime/job.h"

namespace autodist::cli {
namespace {

class VerifyCommand final : public Command {
 public:
  const char* name() const override { return "verify"; }
  const char* summary() const override { return "Compare a mesh with one rank, number by number"; }
  void AddFlags(CLI::App& app) override;
  bool runs_on_ranks() const override { return true; }
  void Prepare() override;
  int Run() override;

 private:
  measure::VerifiedRun RunOneRank(const std::string& dtype,
                                  const std::vector<int32_t>& output) const;
  void ExplainByWeights(const runtime::RankError& error, const spec::ParallelPlan& plan) const;

  RunFlags run_;
  PromptFlags prompt_;
  TraceFlag trace_;
  int64_t output_length_ = 16;

  ModelRunnerOptions options_;
  std::vector<int32_t> ids_;
};

// NaN and infinite weights by the name of their tensor; reads all weights once.
std::vector<measure::NonFiniteWeights> FindNonFiniteWeights(const std::filesystem::path& model_dir,
                                                            const spec::ParallelPlan& plan) {
  const spec::TensorCatalog catalog = checkpoint::ReadCatalog(model_dir);
  const checkpoint::WeightReader reader(catalog);
  std::map<std::string, uint64_t> counts;  // several of our tensors may share a stored one
  for (const spec::ModelTensor& tensor : plan.tensors) {
    reader.Read(tensor, {0, tensor.rows}, {0, tensor.cols},
                [&](int64_t, core::ConstTensorView block) {
                  if (const uint64_t count = checkpoint::CountNonFinite(block))
                    counts[tensor.source] += count;
                });
  }
  std::vector<measure::NonFiniteWeights> found;
  for (const auto& [name, count] : counts) found.push_back({name, count});
  return found;
}

void VerifyCommand::AddFlags(CLI::App& app) {
  SetFooter(app,
            "Without --prompt and --token-ids, a short text is continued, or ids if the model has "
            "no tokenizer.");
  prompt_.many = false;
  prompt_.Add(app);
  AddInteger<int64_t>(app, "--output-length", output_length_,
                      "Greedy tokens to compare; their logits are compared too", 1)
      .Group("Input");
  trace_.Add(app);
  run_.Add(app);
}

void VerifyCommand::Prepare() {
  options_ = run_.Options();
  const std::filesystem::path model_dir =
      checkpoint::ResolveModelDirectory(options_.model_name_or_path);
  options_.model_name_or_path = model_dir.string();
  const spec::ModelConfig config = arch::ParseConfig(model_dir);
  if (!prompt_.prompt && !prompt_.token_ids) {
    const bool reads_text = std::filesystem::exists(model_dir / "tokenizer.json");
    (reads_text ? prompt_.prompt : prompt_.token_ids) =
        reads_text ? "Once upon a time," : "0,1,2,3,4,5,6,7";
  }
  ids_ = ReadPrompts(prompt_, model_dir, config).ids.front();
  const auto length = static_cast<int64_t>(ids_.size());
  const int64_t context =
      options_.max_model_len > 0 ? options_.max_model_len : config.context_length;
  if (length >= context || output_length_ > context - length)
    throw core::BadInput("--output-length {} after the {} tokens of the prompt: the context is {}",
                         output_length_, length, context);
  if (options_.max_model_len == 0) options_.max_model_len = length + output_length_;
  run_.PrepareOutputDir();
  trace_.Prepare(run_, options_);
}

// A run that fails because no token can be chosen: names the weights that are the reason, if they
// are.
void VerifyCommand::ExplainByWeights(const runtime::RankError& error,
                                     const spec::ParallelPlan& plan) const {
  std::vector<std::string> tensors;
  for (const measure::NonFiniteWeights& tensor :
       FindNonFiniteWeights(options_.model_name_or_path, plan))
    tensors.push_back(fmt::format("{} ({})", tensor.name, tensor.count));
  if (tensors.empty()) return;
  const core::Error explained(error.kind(), fmt::format("{}; weights that are NaN or infinite: {}",
                                                        error.what(), fmt::join(tensors, ", ")));
  throw runtime::RankError(explained, error);
}

measure::VerifiedRun VerifyCommand::RunOneRank(const std::string& dtype,
                                               const std::vector<int32_t>& output) const {
  ModelRunnerOptions options = options_;
  options.in_process = true;
  options.dtype = dtype;
  options.tensor_parallel_size = options.pipeline_parallel_size = 1;
  options.ranks = 0;
  options.stage_layers = {};
  options.rank_memory_bytes = {};
  options.threads = 0;
  options.use_cache = false;
  options.on_load_progress = {};
  options.record_ops = runtime::OpRecording::kCommunication;  // a trace is of the mesh
  ModelRunner runner(options);
  return measure::RunToVerify(runner, ids_, output_length_, &output);
}

int VerifyCommand::Run() {
  ProgressLine progress(!options_.quiet);
  options_.on_load_progress = LoadProgress(progress);
  measure::VerifiedRun mesh;
  spec::ParallelPlan plan;
  try {
    ModelRunner runner(options_);
    progress.Clear();
    LogRemarks(runner, options_.ranks > 0);
    plan = runner.plan();
    mesh = measure::RunToVerify(runner, ids_, output_length_, nullptr);
    trace_.Write(runner);
    if (!runner.holds_rank0()) return 0;
  } catch (const runtime::RankError& error) {
    if (error.report() && error.kind() == core::ErrorKind::kRuntime) ExplainByWeights(error, plan);
    throw;
  }
  // Not beside the mesh: one rank alone needs the memory of all of it.
  const measure::VerifiedRun one_rank =
      RunOneRank(std::string(core::NameOf(plan.compute_dtype)), mesh.token_ids);
  std::optional<measure::VerifiedRun> exact;
  if (plan.compute_dtype == core::DType::kBF16) exact = RunOneRank("float32", mesh.token_ids);
  measure::VerificationReport report =
      measure::Judge(plan, ids_, mesh, one_rank, exact ? &*exact : nullptr);
  report.nonfinite_weights = FindNonFiniteWeights(options_.model_name_or_path, plan);
  const std::string document = core::JsonText(measure::ToJson(report));
  Print(run_.json() ? document : measure::ToText(report));
  if (!run_.output_dir().empty())
    core::WriteFileAtomically(std::filesystem::path(run_.output_dir()) / "verify.json", document);
  return report.within_bounds() ? 0 : 1;
}

}  // namespace

std::unique_ptr<Command> MakeVerifyCommand() { return std::make_unique<VerifyCommand>(); }

}  // namespace autodist::cli
