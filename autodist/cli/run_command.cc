#include "autodist/cli/run_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "autodist/cli/arguments.h"
#include "autodist/cli/help.h"
#include "autodist/cli/output.h"
#include "autodist/cli/refusal.h"
#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

// False: --help was asked for and printed.
bool Parse(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::Success&) {
    Print(HelpText(app));
    return false;
  } catch (const CLI::ParseError& error) {
    throw FlagError(app, error);
  }
  return true;
}

}  // namespace

void DeclareFlags(Command& command, CLI::App& app) {
  app.name(std::string("autodist ") + command.name());
  app.description(command.summary());
  app.set_help_flag("-h,--help", "Print this text");
  // Consumed by CompleteArguments.
  app.add_option("--config", "JSON object of flags; the command line and AUTODIST_* variables win")
      ->type_name("FILE");
  command.AddFlags(app);
}

int RunCommand(Command& command, const std::vector<std::string>& arguments,
               const std::function<const char*(const char*)>& environment) {
  CLI::App app;
  DeclareFlags(command, app);
  try {
    if (!Parse(app, CompleteArguments(app, arguments, environment))) return 0;
    command.Prepare();
  } catch (const core::Error& error) {
    if (command.runs_on_ranks()) RefuseTogether(error, arguments);
    throw;
  }
  return command.Run();
}

}  // namespace autodist::cli
