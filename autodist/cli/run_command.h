// From the words after `autodist COMMAND` to the command's exit code.
#ifndef AUTODIST_CLI_RUN_COMMAND_H_
#define AUTODIST_CLI_RUN_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

#include "autodist/cli/command.h"

namespace autodist::cli {

// Declares the command's flags and --help and --config, which every command has.
void DeclareFlags(Command& command, CLI::App& app);

// Completes `arguments` (arguments.h), parses, prepares and runs; prints --help instead when asked.
// Returns the exit code. Throws core::Error; before the ranks have met as RefuseTogether does.
int RunCommand(Command& command, const std::vector<std::string>& arguments,
               const std::function<const char*(const char*)>& environment);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_RUN_COMMAND_H_
