#include <memory>
#include <vector>

#include "autodist/cli/command.h"

namespace autodist::cli {

std::vector<std::unique_ptr<Command>> MakeCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakePlanCommand());
  commands.push_back(MakeGenerateCommand());
  commands.push_back(MakeLogitsCommand());
  commands.push_back(MakeVerifyCommand());
  commands.push_back(MakeBenchCommand());
  commands.push_back(MakeCalibrateCommand());
  commands.push_back(MakeTokenizeCommand());
  commands.push_back(MakeTuneCommand());
  commands.push_back(MakeInspectCommand());
  commands.push_back(MakeCacheCommand());
  commands.push_back(MakeTraceCommand());
  return commands;
}

}  // namespace autodist::cli
