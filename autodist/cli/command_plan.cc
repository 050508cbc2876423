#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/run_flags.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/planner/explain.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist::cli {
namespace {

class PlanCommand final : public Command {
 public:
  const char* name() const override { return "plan"; }
  const char* summary() const override {
    return "Show how a model would be split, and what that costs";
  }
  void AddFlags(CLI::App& app) override;
  void Prepare() override { run_.PrepareOutputDir(); }
  int Run() override;

 private:
  RunFlags run_;
  std::optional<int64_t> prompt_length_;
};

void PlanCommand::AddFlags(CLI::App& app) {
  AddOptionalInteger<int64_t>(
      app, "--prompt-length", prompt_length_,
      "Positions of a sequence that are prompt, in predictions (default: half)", 1)
      .Group("Plan");
  run_.Add(app);
}

int PlanCommand::Run() {
  ModelRunnerOptions options = run_.Options();
  options.prompt_length = prompt_length_.value_or(0);
  const runtime::PlannedModel planned = runtime::PlanModel(options);
  if (runtime::LaunchOf(options).rank != 0) return 0;  // one process of a launched job prints
  const core::Json document = spec::ToJson(planned.plan);
  Print(run_.json() ? core::JsonText(document)
                    : planner::Explain(planned.model.config, planned.plan));
  if (!run_.json())
    for (const std::string& remark : planned.model.remarks) PrintLine("note: {}", remark);
  if (!run_.output_dir().empty())
    core::WriteFileAtomically(std::filesystem::path(run_.output_dir()) / "plan.json",
                              core::JsonText(document));
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakePlanCommand() { return std::make_unique<PlanCommand>(); }

}  // namespace autodist::cli
