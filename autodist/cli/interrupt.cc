#include "autodist/cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace autodist::cli {
namespace {

// A signal handler can reach nothing but a global.
std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void OnSignal(int signal) {
  if (g_signal.exchange(signal) != 0) ::_exit(128 + signal);
}

void Install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() { Install(OnSignal); }
InterruptGuard::~InterruptGuard() {
  if (signal() == 0) Install(SIG_DFL);  // else the next one still ends the process with 128 + n
}
int InterruptGuard::signal() { return g_signal.load(); }

}  // namespace autodist::cli
