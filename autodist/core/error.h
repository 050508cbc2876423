// Errors that a user or the environment caused, and the process exit codes they map to.
//
// core::Error is thrown where the fault is found and caught in cli/ (or at a rank's entry). A fault
// of our own code is a failed CHECK (check.h), never an Error.
#ifndef AUTODIST_CORE_ERROR_H_
#define AUTODIST_CORE_ERROR_H_

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace autodist::core {

// The exit codes of DESIGN section 6.
enum class ErrorKind : int {
  kRuntime = 1,  // the run failed: out of memory, a full disk, a result out of bounds
  kBadInput =
      2,  // a flag, a file or a configuration is wrong; the message names file, field and limit
  kPeerLost = 3,  // a peer rank died or stopped answering, or the watchdog fired
};

// One clear sentence, without a trailing newline or stack of causes.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

// throw BadInput("{}: field {} is {}, must be at least {}", file, field, value, limit);
template <typename... Args>
Error BadInput(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kBadInput, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
Error RuntimeFailure(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kRuntime, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
Error PeerLost(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kPeerLost, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace autodist::core

#endif  // AUTODIST_CORE_ERROR_H_
