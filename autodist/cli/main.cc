// autodist: runs unmodified HuggingFace checkpoints tensor- and pipeline-parallel. See README.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "autodist/cli/arguments.h"
#include "autodist/cli/command.h"
#include "autodist/cli/help.h"
#include "autodist/cli/output.h"
#include "autodist/cli/refusal.h"
#include "autodist/core/error.h"
#include "autodist/core/log.h"
#include "autodist/core/version.h"
#include "autodist/runtime/job.h"

namespace autodist::cli {
namespace {

// The one place where failures become messages and exit codes.
int Report(const core::Error& error) {
  core::LogLine(std::string("autodist: ") + error.what());
  return error.exit_code();
}

// False: --help was asked for and printed.
bool Parse(CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> completed =
      CompleteArguments(app, arguments, [](const char* name) { return std::getenv(name); });
  std::reverse(completed.begin(), completed.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(completed));
  } catch (const CLI::Success&) {
    Print(HelpText(app));
    return false;
  } catch (const CLI::ParseError& error) {
    throw FlagError(app, error);
  }
  return true;
}

int RunCommand(Command& command, const std::vector<std::string>& arguments) {
  CLI::App app(command.summary(), std::string("autodist ") + command.name());
  DeclareCommonFlags(app);
  command.AddFlags(app);
  try {
    if (!Parse(app, arguments)) return 0;
    command.Prepare();
  } catch (const core::Error& error) {
    if (command.runs_on_ranks()) RefuseTogether(error, arguments);
    throw;
  }
  return command.Run();
}

int Main(int argc, char** argv) {
  // A closed stdout and a full or limited disk are reported by the write that fails.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::unique_ptr<Command>> commands = MakeCommands();
  const std::string word = argc > 1 ? argv[1] : "--help";
  if (word == "--version") {
    PrintLine("autodist {}", core::kVersion);
    return 0;
  }
  std::string usage = "usage: autodist COMMAND [FLAGS]\n\n";
  std::string names;
  for (const auto& command : commands) {
    if (word == command->name()) return RunCommand(*command, {argv + 2, argv + argc});
    usage += fmt::format("  {:<10} {}\n", command->name(), command->summary());
    names += fmt::format("{}{}", names.empty() ? "" : ", ", command->name());
  }
  if (word != "--help" && word != "-h" && word != "help")
    throw core::BadInput("unknown command {}; commands are {}", word, names);
  Print(usage + "\n`autodist COMMAND --help` lists the flags of one command.\n");
  return argc > 1 ? 0 : 2;
}

}  // namespace
}  // namespace autodist::cli

int main(int argc, char** argv) {
  using autodist::cli::Report;
  try {
    return autodist::cli::Main(argc, argv);
  } catch (const autodist::runtime::RankError& error) {
    // All ranks of the job ended with this error; one of them prints it.
    return error.report() ? Report(error) : error.exit_code();
  } catch (const autodist::core::Error& error) {
    return Report(error);
  } catch (const std::bad_alloc&) {
    return Report(autodist::core::RuntimeFailure("out of memory"));
  } catch (const std::exception& error) {
    // What the standard library throws about the environment: no thread can be started, ...
    return Report(autodist::core::RuntimeFailure("{}", error.what()));
  }
}
