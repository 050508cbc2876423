// The command line, completed from AUTODIST_* variables and --config FILE.
#ifndef AUTODIST_CLI_ARGUMENTS_H_
#define AUTODIST_CLI_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace autodist::cli {

// `arguments` are those of subcommand `app`, without program and subcommand name; --config FILE among them is taken
// out. For every option of `app` that they do not give, adds AUTODIST_<LONG_NAME> of the environment if it is set, else
// the field of that name ("max-output-length" or "max_output_length") of the JSON object in FILE: strings and numbers
// as written, true for a flag, a list as comma-separated values. Throws core::Error for a field that is no option.
std::vector<std::string> CompleteArguments(const CLI::App& app, std::vector<std::string> arguments,
                                           const std::function<const char*(const char*)>& environment);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_ARGUMENTS_H_
