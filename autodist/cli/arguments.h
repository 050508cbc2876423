// The command line, completed from AUTODIST_* variables and --config FILE.
#ifndef AUTODIST_CLI_ARGUMENTS_H_
#define AUTODIST_CLI_ARGUMENTS_H_

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace autodist::cli {

// `arguments` are those of the command `app`, without the names of program and command; --config
// FILE among them is taken out. For every option of `app` that they do not give (as a flag or, if
// the option is one, as the positional argument), adds AUTODIST_<LONG_NAME> of the environment if
// that is set and not empty, else the field of that name ("max-output-length" or
// "max_output_length") of the JSON object in FILE: strings and numbers as written, true or false
// for a flag; a list repeats an option that may be repeated, and is joined by commas otherwise.
// FILE may also come from AUTODIST_CONFIG. Throws core::Error for a field that is no option and for
// a value of the wrong kind.
std::vector<std::string> CompleteArguments(
    const CLI::App& app, std::vector<std::string> arguments,
    const std::function<const char*(const char*)>& environment);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_ARGUMENTS_H_
