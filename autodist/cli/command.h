// A subcommand of the program: its flags and what it does. One file per subcommand, listed in main.cc.
#ifndef AUTODIST_CLI_COMMAND_H_
#define AUTODIST_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <memory>

namespace autodist::cli {

class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;  // one line of --help
  virtual void AddFlags(CLI::App& app) = 0;
  // Does the work; the flags are parsed. Returns the exit code (0, or 1 for a result out of bounds); throws
  // core::Error for everything else.
  virtual int Run() = 0;
};

std::unique_ptr<Command> MakePlanCommand();
std::unique_ptr<Command> MakeGenerateCommand();
std::unique_ptr<Command> MakeLogitsCommand();
std::unique_ptr<Command> MakeVerifyCommand();
std::unique_ptr<Command> MakeBenchCommand();
std::unique_ptr<Command> MakeTokenizeCommand();
std::unique_ptr<Command> MakeInspectCommand();
std::unique_ptr<Command> MakeCacheCommand();

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_COMMAND_H_
