// A launcher's shell command, and everything that it starts, run to an end.
#ifndef AUTODIST_TUNE_LAUNCHER_PROCESS_H_
#define AUTODIST_TUNE_LAUNCHER_PROCESS_H_

#include <filesystem>
#include <string>

namespace autodist::tune {

struct LaunchEnd {
  std::string why;      // one sentence, or "" when it ended with status 0
  bool started = true;  // false: the shell found no such command, or could not execute it
};

// Runs `command` by /bin/sh, output to `log`, until it ends or `timeout_s` is over. When this
// returns, no process that came of it is left, whatever session or group it went to (torchrun's
// workers have their own): what is still there gets SIGTERM, and SIGKILL five seconds later. Should
// the caller be killed, the command gets SIGTERM.
//
// One caller at a time in a process, which must not start other children meanwhile: orphans of the
// command become its children. Throws core::Error (runtime): no process can be started.
LaunchEnd RunLauncher(const std::string& command, const std::filesystem::path& log,
                      double timeout_s);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_LAUNCHER_PROCESS_H_
