#include <memory>

#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/inspection.h"
#include "autodist/cli/output.h"
#include "autodist/cli/run_flags.h"
#include "autodist/core/json.h"

namespace autodist::cli {
namespace {

class InspectCommand final : public Command {
 public:
  const char* name() const override { return "inspect"; }
  const char* summary() const override { return "Show what is understood of a model's files"; }
  void AddFlags(CLI::App& app) override {
    model_.Add(app);
    AddSwitch(app, "--json", json_, "Print exactly one JSON document").Group("Output");
  }
  int Run() override {
    const Inspection inspection = Inspect(checkpoint::ResolveModelDirectory(model_.Resolve()));
    Print(json_ ? core::JsonText(ToJson(inspection)) : ToText(inspection));
    return 0;
  }

 private:
  ModelFlag model_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace autodist::cli
