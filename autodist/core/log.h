// Progress and log lines on stderr, each with the rank that wrote it.
//
// The rank is a property of the thread: a rank thread (and each worker of its pool) sets it once at
// its start. Lines of several threads never interleave within a line.
#ifndef AUTODIST_CORE_LOG_H_
#define AUTODIST_CORE_LOG_H_

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace autodist::core {

// The rank that this thread's lines carry; -1 (the default) means none.
void SetLogRank(int rank);
int LogRank();

// "[rank 3] ", or "" when this thread has no rank.
std::string LogPrefix();

// Writes one line to stderr at once. A closed stderr is ignored.
void LogLine(std::string_view line);

template <typename... Args>
void Log(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace autodist::core

#endif  // AUTODIST_CORE_LOG_H_
