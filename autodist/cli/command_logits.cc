
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/npy_writer.h"
#include "autodist/cli/output.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
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
    run_.Add(app);
    prompt_.Add(app, /*many=*/false);
    app.add_option("--output", output_, "float32 [tokens, vocabulary]")->type_name("FILE.npy")->group("Output");
  }
  int Run() override;

 private:
  RunFlags run_;
  PromptFlags prompt_;
  std::string output_;
};

int LogitsCommand::Run() {
  if (output_.empty()) throw core::BadInput("--output FILE.npy is needed");
  const std::filesystem::path model_dir = checkpoint::ResolveModelDirectory(run_.model.Resolve());
  const Prompts prompts = ReadPrompts(prompt_, model_dir, arch::ParseConfig(model_dir));
  const std::vector<int32_t>& ids = prompts.ids.front();
  ModelRunnerOptions options = run_.Options();
  options.model_name_or_path = model_dir.string();
  if (options.max_model_len == 0) {
    const int64_t context = arch::ParseConfig(model_dir).context_length;
    if (static_cast<int64_t>(ids.size()) > context)
      throw core::BadInput("the prompt has {} tokens, the model's context is {}", ids.size(), context);
    options.max_model_len = static_cast<int64_t>(ids.size());
  }
  std::filesystem::path path = output_;
  if (!run_.output_dir.empty()) {
    run_.PrepareOutputDir();
    path = std::filesystem::path(run_.output_dir) / path;
  }
  ModelRunner runner(options);
  std::optional<NpyWriter> writer;
  if (runner.holds_rank0()) writer.emplace(path, static_cast<int64_t>(ids.size()), runner.plan().vocab_size);
  runner.Logits(ids, [&](int64_t, core::ConstTensorView rows) { writer->Append(rows); });
  if (!writer) return 0;
  writer->Commit();
  if (run_.json) {
    const core::Json document = {{"output", path.string()},
                                 {"prompt_token_ids", ids},
                                 {"shape", {ids.size(), runner.plan().vocab_size}},
                                 {"plan", spec::ToJson(runner.plan())}};
    Print(core::DumpJson(document, 2) + "\n");
  } else {
    PrintLine("{}: float32 [{}, {}]", path.string(), ids.size(), runner.plan().vocab_size);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeLogitsCommand() { return std::make_unique<LogitsCommand>(); }

}  // namespace autodist::cli
