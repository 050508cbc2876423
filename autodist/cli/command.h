// A subcommand of the program: its flags and what it does. One file per subcommand.
// commands.cc lists them.
#ifndef AUTODIST_CLI_COMMAND_H_
#define AUTODIST_CLI_COMMAND_H_

#include <memory>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace autodist::cli {

class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;  // one line of --help, without a full stop
  virtual void AddFlags(CLI::App& app) = 0;
  // True for commands that run on all ranks of a launcher: a refusal is then told to the others.
  virtual bool runs_on_ranks() const { return false; }
  // Everything that can be refused before the ranks meet; the flags are parsed. Throws core::Error.
  virtual void Prepare() {}
  // Does the work. Returns the exit code (0, or 1 for a result out of bounds); throws core::Error
  // for everything else.
  virtual int Run() = 0;
};

std::unique_ptr<Command> MakePlanCommand();
std::unique_ptr<Command> MakeGenerateCommand();
std::unique_ptr<Command> MakeLogitsCommand();
std::unique_ptr<Command> MakeVerifyCommand();
std::unique_ptr<Command> MakeBenchCommand();
std::unique_ptr<Command> MakeCalibrateCommand();
std::unique_ptr<Command> MakeTokenizeCommand();
std::unique_ptr<Command> MakeTuneCommand();
std::unique_ptr<Command> MakeInspectCommand();
std::unique_ptr<Command> MakeCacheCommand();
std::unique_ptr<Command> MakeTraceCommand();

// All of them, in the order of --help.
std::vector<std::unique_ptr<Command>> MakeCommands();

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_COMMAND_H_
