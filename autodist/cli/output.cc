#include "autodist/cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "autodist/core/error.h"

namespace autodist::cli {

void Print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno != EINTR) {
      throw core::RuntimeFailure("stdout: cannot be written: {}", std::strerror(errno));
    }
  }
}

void PrintJson(const core::Json& document) { Print(core::JsonText(document)); }

}  // namespace autodist::cli
