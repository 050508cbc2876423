// Writing to stdout, so that a closed pipe is an error and not silence.
#ifndef AUTODIST_CLI_OUTPUT_H_
#define AUTODIST_CLI_OUTPUT_H_

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "autodist/core/json.h"

namespace autodist::cli {

// Writes and flushes. Throws core::Error (runtime) when stdout is closed or full. SIGPIPE is
// ignored (main.cc).
void Print(std::string_view text);

template <typename... Args>
void PrintLine(fmt::format_string<Args...> format, Args&&... args) {
  Print(fmt::format(format, std::forward<Args>(args)...) + "\n");
}

// Prints core::JsonText(document).
void PrintJson(const core::Json& document);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_OUTPUT_H_
