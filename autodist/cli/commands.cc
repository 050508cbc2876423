#include <memory>
#include <vector>

#include "autodist/cli/command.h"

namespace autodist::cli {

void DeclareCommonFlags(CLI::App& app) {
  app.set_help_flag("-h,--help", "Print this text");
  app.add_option("--config", "JSON object of flags; the command line and AUTODIST_* variables win")
      ->type_name("FILE");
}

std::vector<std::unique_ptr<Command>> MakeCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakePlanCommand());
  commands.push_back(MakeGenerateCommand());
  commands.push_back(MakeLogitsCommand());
  commands.push_back(MakeBenchCommand());
  return commands;
}

}  // namespace autodist::cli
