#include "tests/end_to_end/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "autodist/core/check.h"

namespace autodist::testing {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Limit(int resource, uint64_t bytes) {
  if (bytes == 0) return;
  const rlimit limit{bytes, bytes};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

// In the child, between fork and exec.
[[noreturn]] void Execute(std::vector<char*> arguments, std::vector<char*> environment,
                          const ProgramOptions& options, const int (&output)[2]) {
  ::setpgid(0, 0);
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(output[0], STDOUT_FILENO);
  ::dup2(output[1], STDERR_FILENO);
  Limit(RLIMIT_FSIZE, options.max_file_bytes);
  Limit(RLIMIT_AS, options.max_address_bytes);
  Limit(RLIMIT_CORE, 1);  // a crash is seen by its signal
  if (options.max_file_bytes > 0) ::signal(SIGXFSZ, SIG_IGN);
  if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0)
    ::_exit(126);
  ::execvpe(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Arguments Merged(const Arguments& base, const Arguments& more) {
  const auto is_flag = [](const std::string& word) { return word.starts_with("--"); };
  Arguments merged;
  bool replaced = false;
  for (const std::string& word : base) {
    if (is_flag(word)) replaced = std::find(more.begin(), more.end(), word) != more.end();
    if (!replaced) merged.push_back(word);
  }
  merged.insert(merged.end(), more.begin(), more.end());
  return merged;
}

std::filesystem::path ProgramPath() { return AUTODIST_PROGRAM; }

Program::Program(const Arguments& arguments, const std::filesystem::path& home,
                 const ProgramOptions& options)
    : timeout_s_(options.timeout_s), start_s_(Now()) {
  std::map<std::string, std::string> variables = {
      {"HOME", home.string()},
      {"PATH", std::getenv("PATH")},
      {"XDG_CACHE_HOME", (home / "cache").string()},
  };
  for (const auto& [name, value] : options.environment) variables[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  std::vector<std::string> words = options.wrapper;
  words.push_back(ProgramPath().string());
  words.insert(words.end(), arguments.begin(), arguments.end());

  int output[2];
  for (int i = 0; i < 2; ++i) {
    int ends[2];
    AUTODIST_CHECK_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pipes_[i] = ends[0];
    output[i] = ends[1];
  }
  pid_ = ::fork();
  AUTODIST_CHECK_GE(pid_, 0);
  if (pid_ == 0) Execute(Pointers(words), Pointers(environment), options, output);
  ::setpgid(pid_, pid_);  // whoever comes first
  for (const int end : output) ::close(end);
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int end : pipes_) ::close(end);
}

void Program::Signal(int signal) const { ::kill(pid_, signal); }

bool Program::Drain(int wait_ms) {
  pollfd polled[2] = {{pipes_[0], POLLIN, 0}, {pipes_[1], POLLIN, 0}};
  ::poll(polled, 2, wait_ms);
  std::string* const texts[2] = {&outcome_.output, &outcome_.errors};
  int open = 0;
  for (int i = 0; i < 2; ++i) {
    if (polled[i].revents == 0) {
      open += pipes_[i] >= 0;
      continue;
    }
    char buffer[1 << 16];
    const ssize_t bytes = ::read(pipes_[i], buffer, sizeof(buffer));
    if (bytes > 0) {
      texts[i]->append(buffer, static_cast<size_t>(bytes));
      ++open;
    } else {
      ::close(pipes_[i]);
      pipes_[i] = -1;  // poll() passes over it
    }
  }
  return open > 0;
}

bool Program::Holds(const std::string& collected, const std::string& text, double seconds) {
  const double end = Now() + seconds;
  while (collected.find(text) == std::string::npos) {
    if (Now() > end || !Drain(20)) return collected.find(text) != std::string::npos;
  }
  return true;
}

bool Program::Printed(const std::string& text, double seconds) {
  return Holds(outcome_.output, text, seconds);
}

bool Program::Logged(const std::string& text, double seconds) {
  return Holds(outcome_.errors, text, seconds);
}

Outcome Program::Wait() {
  while (Drain(50)) {
    if (Now() - start_s_ > timeout_s_) {
      ADD_FAILURE() << "still running after " << timeout_s_ << " s";
      ::kill(-pid_, SIGKILL);
      break;
    }
  }
  int status = 0;
  rusage usage{};
  AUTODIST_CHECK_EQ(::wait4(pid_, &status, 0, &usage), pid_);
  pid_ = 0;
  outcome_.seconds = Now() - start_s_;
  outcome_.peak_rss_bytes = int64_t{usage.ru_maxrss} * 1024;
  if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  return outcome_;
}

Outcome ProgramTest::Run(const Arguments& arguments, const ProgramOptions& options) const {
  return Program(arguments, scratch_.path(), options).Wait();
}

std::string ProgramTest::Output(const Arguments& arguments, const ProgramOptions& options) const {
  const Outcome outcome = Run(arguments, options);
  EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
  return outcome.output;
}

::testing::AssertionResult Refused(const Outcome& outcome, int exit_code,
                                   const std::vector<std::string>& words) {
  const auto fault = [&](const std::string& what) {
    return ::testing::AssertionFailure() << what << "\n" << Shown(outcome);
  };
  if (outcome.exit_code != exit_code) return fault(fmt::format("not exit code {}", exit_code));
  if (!outcome.output.empty()) return fault("it printed to stdout");
  std::string line = outcome.errors;
  if (line.starts_with("[rank ")) line.erase(0, line.find("] ") + 2);
  if (!line.starts_with("autodist: ") || line.back() != '\n' ||
      std::count(line.begin(), line.end(), '\n') != 1)
    return fault("stderr is not one line \"autodist: ...\"");
  for (const std::string& word : words)
    if (line.find(word) == std::string::npos) return fault("no word of \"" + word + "\"");
  return ::testing::AssertionSuccess();
}

std::string Shown(const Outcome& outcome) {
  return fmt::format("exit code {}, signal {}, {:.2f} s\nstdout: {}\nstderr: {}\n",
                     outcome.exit_code, outcome.signal, outcome.seconds,
                     outcome.output.substr(0, 2000), outcome.errors.substr(0, 2000));
}

}  // namespace autodist::testing
