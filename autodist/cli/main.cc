// autodist: runs unmodified HuggingFace checkpoints tensor- and pipeline-parallel. See README.md.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "autodist/cli/arguments.h"
#include "autodist/cli/command.h"
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

int RunCommand(Command& command, std::vector<std::string> arguments) {
  CLI::App app(command.summary(), std::string("autodist ") + command.name());
  command.AddFlags(app);
  // Consumed by CompleteArguments; declared for --help.
  app.add_option("--config", "JSON object of flags; the command line and AUTODIST_* variables win")->type_name("FILE");
  std::vector<std::string> completed =
      CompleteArguments(app, std::move(arguments), [](const char* name) { return std::getenv(name); });
  std::reverse(completed.begin(), completed.end());  // CLI11 takes them from the back
  try {
    app.parse(std::move(completed));
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    throw core::BadInput("{}; `autodist {} --help` lists the flags", error.what(), command.name());
  }
  return command.Run();
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed stdout is reported by the write that fails (output.cc)
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakePlanCommand());
  commands.push_back(MakeGenerateCommand());
  commands.push_back(MakeLogitsCommand());






  const std::string word = argc > 1 ? argv[1] : "--help";
  if (word == "--version") {
    std::printf("autodist %s\n", std::string(core::kVersion).c_str());
    return 0;
  }
  std::string usage = "usage: autodist COMMAND [FLAGS]\n\n";
  std::string names;
  for (const auto& command : commands) {
    if (word == command->name()) return RunCommand(*command, {argv + 2, argv + argc});
    usage += fmt::format("  {:<10} {}\n", command->name(), command->summary());
    names += fmt::format("{}{}", names.empty() ? "" : ", ", command->name());
  }
  if (word == "--help" || word == "-h" || word == "help") {
    std::printf("%s\n`autodist COMMAND --help` lists the flags of one command.\n", usage.c_str());
    return argc > 1 ? 0 : 2;
  }
  throw core::BadInput("unknown command {}; commands are {}", word, names);
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
  }
}
