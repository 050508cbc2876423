// autodist: runs unmodified HuggingFace checkpoints tensor- and pipeline-parallel. See README.md.
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "autodist/cli/command.h"
#include "autodist/cli/output.h"
#include "autodist/cli/run_command.h"
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
    if (word == command->name())
      return RunCommand(*command, {argv + 2, argv + argc},
                        [](const char* name) { return std::getenv(name); });
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
