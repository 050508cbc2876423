#include "autodist/tune/external_backend.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::tune {
namespace {

using Clock = std::chrono::steady_clock;

// Runs a shell command in a process group of its own, output to `log`. Returns why it did not end
// well, or "".
std::string RunShell(const std::string& command, const std::filesystem::path& log,
                     double timeout_s) {
  const std::string log_name = log.string();
  // A tuner that is killed takes the launcher with it: the shell is told, and tells its group.
  const std::string guarded =
      fmt::format("trap 'trap - TERM; kill -TERM 0' TERM\n{{ {}\n}} &\nwait $!", command);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw core::RuntimeFailure("cannot start a process: {}", std::strerror(errno));
  if (child == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(126);
    const int file = ::open(log_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file < 0 || null < 0) ::_exit(126);
    ::dup2(null, STDIN_FILENO);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", guarded.c_str(), nullptr);
    ::_exit(127);
  }
  ::setpgid(child, child);
  const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_s);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      return fmt::format("the launcher did not end within {:g} s", timeout_s);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (WIFSIGNALED(status))
    return fmt::format("the launcher was ended by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    return fmt::format("the launcher ended with status {}", WEXITSTATUS(status));
  return "";
}

}  // namespace

ExternalBackend::ExternalBackend(CaseStore store, Options options)
    : store_(std::move(store)), options_(std::move(options)) {}

std::string ExternalBackend::Description() const {
  return "measured from profiler traces, the slowest rank of each repeat";
}

CaseResults ExternalBackend::Measure(const std::vector<OverlapCase>& cases) {
  const bool needs_result = options_.mode != Mode::kRead;
  if (needs_result) store_.Add(cases);
  CaseResults results;
  std::vector<OverlapCase> missing;
  for (const OverlapCase& overlap_case : cases) {
    if (auto result = store_.Read(overlap_case, needs_result))
      results[overlap_case.Id()] = std::move(*result);
    else
      missing.push_back(overlap_case);
  }
  if (options_.mode == Mode::kEmit && !missing.empty())
    script_ = store_.WriteScript(missing, options_.launcher).string();
  if (options_.mode != Mode::kRun) return results;
  for (size_t i = 0; i < missing.size(); ++i) {
    if (options_.on_case) options_.on_case(missing[i].Id(), missing.size() - i, cases.size());
    Run(missing[i]);
    if (auto result = store_.Read(missing[i], needs_result))
      results[missing[i].Id()] = std::move(*result);
  }
  return results;
}

void ExternalBackend::Run(const OverlapCase& overlap_case) const {
  const std::filesystem::path run = store_.BeginRun(overlap_case);
  std::string why = RunShell(store_.Command(overlap_case, options_.launcher, run), run / "log.txt",
                             options_.case_timeout_s);
  if (why.empty() && !std::filesystem::exists(run / "result.json"))
    why = "the launcher wrote no result.json";
  store_.EndRun(overlap_case, run, why);
}

}  // namespace autodist::tune
