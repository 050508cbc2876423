#include "autodist/tune/launcher_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "autodist/core/error.h"

namespace autodist::tune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGrace = std::chrono::seconds(5);
constexpr auto kPoll = std::chrono::milliseconds(2);
constexpr int kNotExecutable = 126, kNotFound = 127;  // statuses of a shell

// Empty for a process that has ended, even between opening and reading.
std::string StatOf(const std::filesystem::path& directory) {
  const int file = ::open((directory / "stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  std::array<char, 512> text;
  const ssize_t got = ::read(file, text.data(), text.size());
  ::close(file);
  return {text.data(), got > 0 ? static_cast<size_t>(got) : 0};
}

struct Process {
  pid_t parent = 0;
  bool dead = false;  // and waits to be reaped
};

// Every process there is. One that ends meanwhile is left out.
std::map<pid_t, Process> Processes() {
  std::map<pid_t, Process> processes;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    const std::string stat = StatOf(entry.path());
    // "pid (name) state parent ...": a name may hold anything, brackets too.
    const size_t behind_name = stat.rfind(')');
    if (behind_name == std::string::npos || stat.size() < behind_name + 4) continue;
    const char state = stat[behind_name + 2];
    processes[pid] = {.parent = std::atoi(stat.c_str() + behind_name + 4),
                      .dead = state == 'Z' || state == 'X'};
  }
  return processes;
}

// While it lives, orphans below this process become its children, so that none gets lost.
class Descendants {
 public:
  Descendants() {
    ::prctl(PR_GET_CHILD_SUBREAPER, &was_reaper_);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    others_ = Living();
  }
  ~Descendants() { ::prctl(PR_SET_CHILD_SUBREAPER, was_reaper_); }
  Descendants(const Descendants&) = delete;
  Descendants& operator=(const Descendants&) = delete;

  void End() const {
    const auto deadline = Clock::now() + kGrace;
    std::set<pid_t> told;
    while (true) {
      const std::set<pid_t> living = Living();
      if (living.empty()) return;
      const bool patient = Clock::now() < deadline;
      for (const pid_t pid : living)
        if (!patient)
          ::kill(pid, SIGKILL);
        else if (told.insert(pid).second)
          ::kill(pid, SIGTERM);
      std::this_thread::sleep_for(kPoll);
    }
  }

 private:
  // Below this process, those apart that were there before. Reaps the dead among its children.
  std::set<pid_t> Living() const {
    const std::map<pid_t, Process> processes = Processes();
    std::set<pid_t> living;
    for (const auto& [pid, process] : processes) {
      pid_t above = pid;
      while (above != ::getpid() && !others_.contains(above)) {
        const auto found = processes.find(above);
        if (found == processes.end()) break;
        above = found->second.parent;
      }
      if (above != ::getpid() || pid == above) continue;
      if (!process.dead)
        living.insert(pid);
      else if (process.parent == ::getpid())
        ::waitpid(pid, nullptr, WNOHANG);
    }
    return living;
  }

  int was_reaper_ = 0;
  std::set<pid_t> others_;
};

pid_t StartShell(const std::string& command, const std::filesystem::path& log) {
  const std::string log_name = log.string();
  // A tuner that is killed takes the launcher with it: the shell is told, and tells its group.
  const std::string guarded =
      fmt::format("trap 'trap - TERM; kill -TERM 0' TERM\n{{ {}\n}} &\nwait $!", command);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw core::RuntimeFailure("cannot start a process: {}", std::strerror(errno));
  if (child > 0) {
    ::setpgid(child, child);
    return child;
  }
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(kNotExecutable);
  const int file = ::open(log_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (file < 0 || null < 0) ::_exit(kNotExecutable);
  ::dup2(null, STDIN_FILENO);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  ::execl("/bin/sh", "sh", "-c", guarded.c_str(), nullptr);
  ::_exit(kNotFound);
}

}  // namespace

LaunchEnd RunLauncher(const std::string& command, const std::filesystem::path& log,
                      double timeout_s) {
  const Descendants descendants;
  const pid_t shell = StartShell(command, log);
  const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_s);
  int status = 0;
  bool ended = false;
  while (!(ended = ::waitpid(shell, &status, WNOHANG) == shell) && Clock::now() < deadline)
    std::this_thread::sleep_for(kPoll);
  descendants.End();
  if (!ended) return {fmt::format("the launcher did not end within {:g} s", timeout_s)};
  if (WIFSIGNALED(status))
    return {fmt::format("the launcher was ended by signal {}", WTERMSIG(status))};
  const int code = WEXITSTATUS(status);
  if (code == 0) return {};
  return {fmt::format("the launcher ended with status {}", code),
          code != kNotFound && code != kNotExecutable};
}

}  // namespace autodist::tune
