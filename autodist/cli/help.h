// What `autodist COMMAND --help` prints, and the sentences for flags that cannot be understood.
#ifndef AUTODIST_CLI_HELP_H_
#define AUTODIST_CLI_HELP_H_

#include <string>

#include "autodist/core/error.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace autodist::cli {

// Usage, what the command does, and its flags by group with their defaults; lines are at most 100
// columns wide. `app.get_name()` is "autodist COMMAND", its description the summary.
std::string HelpText(const CLI::App& app);

// `error` of app.parse() as one sentence (bad input) that names the flag and what it takes.
core::Error FlagError(const CLI::App& app, const CLI::ParseError& error);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_HELP_H_
