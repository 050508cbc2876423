#include "autodist/core/log.h"

#include <unistd.h>

namespace autodist::core {
namespace {

thread_local int t_log_rank = -1;

}  // namespace

void SetLogRank(int rank) { t_log_rank = rank; }

int LogRank() { return t_log_rank; }

std::string LogPrefix() { return t_log_rank < 0 ? "" : fmt::format("[rank {}] ", t_log_rank); }

void LogLine(std::string_view line) {
  const std::string whole = fmt::format("{}{}\n", LogPrefix(), line);
  // One write per line: lines of several threads and processes stay whole.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

}  // namespace autodist::core
