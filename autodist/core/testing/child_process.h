// For tests that need a second process of the same program.
#ifndef AUTODIST_CORE_TESTING_CHILD_PROCESS_H_
#define AUTODIST_CORE_TESTING_CHILD_PROCESS_H_

#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>

namespace autodist::core::testing {

inline constexpr int kChildThrew = 99;

// Forks; the child runs `body` and ends with its result, with kChildThrew after an exception.
// Never returns in the child: what a test framework does with an exception there, the parent's
// remaining tests run in the child too, must not happen. -1 when there is no child.
inline pid_t StartChild(const std::function<int()>& body) {
  std::fflush(nullptr);  // else the child writes the parent's buffers a second time
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  int status = kChildThrew;
  try {
    status = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child process: %s\n", error.what());
  } catch (...) {
    std::fprintf(stderr, "child process: an exception of an unknown type\n");
  }
  std::fflush(nullptr);
  ::_exit(status);
}

}  // namespace autodist::core::testing

#endif  // AUTODIST_CORE_TESTING_CHILD_PROCESS_H_
