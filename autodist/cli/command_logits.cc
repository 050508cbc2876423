
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/npy_writer.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
#include "autodist/cli/summary.h"
#include "autodist/cli/trace_flag.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"

namespace autodist::cli {
namespace {

class LogitsCommand final : public Command {
 public:
  const char* name() const override { return "logits"; }
  const char* summary() const override { return "Write the logits at every position of a prompt"; }
  void AddFlags(CLI::App& app) override {
    prompt_.many = false;
    prompt_.Add(app);
    AddText(app, "--output", output_, "float32 [tokens, vocabulary]")
        .Type("FILE.npy")
        .Group("Output");
    trace_.Add(app);
    run_.Add(app);
  }
  bool runs_on_ranks() const override { return true; }
  void Prepare() override;
  int Run() override;

 private:
  RunFlags run_;
  PromptFlags prompt_;
  TraceFlag trace_;
  std::string output_;
  std::filesystem::path path_;

  ModelRunnerOptions options_;
  std::vector<int32_t> ids_;
};

void LogitsCommand::Prepare() {
  if (output_.empty()) throw core::BadInput("--output FILE.npy is needed");
  path_ = run_.OutputFile(output_, "--output");
  options_ = run_.Options();
  const std::filesystem::path model_dir =
      checkpoint::ResolveModelDirectory(options_.model_name_or_path);
  options_.model_name_or_path = model_dir.string();
  const spec::ModelConfig config = arch::ParseConfig(model_dir);
  const Prompts prompts = ReadPrompts(prompt_, model_dir, config);
  ids_ = prompts.ids.front();
  const auto length = static_cast<int64_t>(ids_.size());
  const int64_t context =
      options_.max_model_len > 0 ? options_.max_model_len : config.context_length;
  if (length > context)
    throw core::BadInput("the prompt has {} tokens, the context holds {}", length, context);
  if (options_.max_model_len == 0) options_.max_model_len = length;
  run_.PrepareOutputDir();
  trace_.Prepare(run_, options_);
}

int LogitsCommand::Run() {
  const auto rows = static_cast<int64_t>(ids_.size());
  ProgressLine progress(!options_.quiet);
  options_.on_load_progress = LoadProgress(progress);
  ModelRunner runner(options_);
  progress.Clear();
  LogRemarks(runner, options_.ranks > 0);
  std::optional<NpyWriter> writer;
  if (runner.holds_rank0()) writer.emplace(path_, rows, runner.plan().vocab_size);
  runner.Logits(ids_, [&](int64_t, core::ConstTensorView block) { writer->Append(block); });
  trace_.Write(runner);
  if (!writer) return 0;
  writer->Commit();
  if (run_.json()) {
    const core::Json document = {{"output", path_.string()},
                                 {"prompt_token_ids", ids_},
                                 {"shape", {rows, runner.plan().vocab_size}},
                                 {"plan", spec::ToJson(runner.plan())}};
    PrintJson(document);
  } else {
    PrintLine("{}: float32 [{}, {}]", path_.string(), rows, runner.plan().vocab_size);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeLogitsCommand() { return std::make_unique<LogitsCommand>(); }

}  // namespace autodist::cli
