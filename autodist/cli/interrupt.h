// Ctrl-C and SIGTERM while prompts are being worked on: the first asks the run to end, the second
// ends the process.
#ifndef AUTODIST_CLI_INTERRUPT_H_
#define AUTODIST_CLI_INTERRUPT_H_

namespace autodist::cli {

// Installs handlers for SIGINT and SIGTERM, for as long as it lives; once a signal has come, for
// good: a second one ends the process at once. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The signal that came, or 0. Safe from any thread.
  static int signal();
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_INTERRUPT_H_
