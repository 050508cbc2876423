#include "tests/process/launched_job.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <ostream>
#include <sstream>
#include <thread>

namespace autodist::testing {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// In the environment of every process of a job.
constexpr char kMark[] = "AUTODIST_TEST_JOB";

[[noreturn]] void Execute(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

std::vector<std::string> NamesInSharedMemory() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator("/dev/shm"))
    names.push_back(entry.path().filename());
  return names;
}

// The value of a variable in an environment as /proc shows it.
std::string Variable(const std::string& environment, const std::string& name) {
  const std::string text = '\0' + environment;
  const size_t at = text.find('\0' + name + '=');
  return at == std::string::npos ? "" : text.c_str() + at + name.size() + 2;
}

}  // namespace

void PrintTo(Launcher launcher, std::ostream* out) {
  constexpr const char* kNames[] = {"none", "forked", "torchrun", "mpirun"};
  *out << kNames[static_cast<int>(launcher)];
}

std::string FindTorchrun() {
  if (const char* given = std::getenv("AUTODIST_TORCHRUN")) return given;
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) {
    if (::access((folder + "/torchrun").c_str(), X_OK) == 0) return folder + "/torchrun";
  }
  return "";
}

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool WaitUntil(Clock::duration time, const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + time;
  while (!condition()) {
    if (Clock::now() > end) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

TestDirectory::TestDirectory(const std::string& name)
    : path_(fs::temp_directory_path() / ("autodist_" + name + "_" + std::to_string(::getpid()))) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

LaunchedJob::LaunchedJob(Launcher launcher, int ranks, const std::vector<std::string>& command)
    : directory_("job"), size_(ranks), program_(fs::canonical(command[0])) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  launcher_ = ::fork();
  if (launcher_ == 0) Launch(launcher, ranks, command);
}

LaunchedJob::~LaunchedJob() {
  ::kill(launcher_, SIGKILL);
  // After the launcher: no new ones come. Nothing is reaped yet, so no pid is somebody else's.
  for (const auto& [rank, pid] : FindRanks()) ::kill(pid, SIGKILL);
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

void LaunchedJob::Launch(Launcher launcher, int ranks, std::vector<std::string> command) const {
  const std::string output = directory_.path() / "output";
  const std::string errors = directory_.path() / "errors";
  if (std::freopen(output.c_str(), "a", stdout) == nullptr) ::_exit(127);
  if (std::freopen(errors.c_str(), "a", stderr) == nullptr) ::_exit(127);
  ::setenv(kMark, directory_.path().c_str(), 1);
  if (launcher == Launcher::kNone) Execute(command);
  const std::string count = std::to_string(ranks);
  if (launcher == Launcher::kForked) LaunchByHand(ranks, command);
  if (launcher == Launcher::kTorchrun) {
    command.insert(command.begin(),
                   {FindTorchrun(), "--no-python", "--standalone", "--nproc_per_node", count});
  } else {
    command.insert(command.begin(),
                   {"mpirun", "--oversubscribe", "--bind-to", "none", "-n", count});
  }
  Execute(command);
}

void LaunchedJob::LaunchByHand(int ranks, const std::vector<std::string>& command) const {
  ::setenv("MASTER_PORT", std::to_string(::getpid()).c_str(), 1);
  ::setenv("WORLD_SIZE", std::to_string(ranks).c_str(), 1);
  for (int rank = 0; rank < ranks; ++rank) {
    ::setenv("RANK", std::to_string(rank).c_str(), 1);
    if (::fork() == 0) Execute(command);
  }
  int worst = 0;
  for (int status = 0; ::wait(&status) > 0;)
    worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
  ::_exit(worst);
}

// All that runs our program with the mark of this job, whoever started it.
std::map<int, pid_t> LaunchedJob::FindRanks() const {
  std::map<int, pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid == 0 || fs::read_symlink(entry.path() / "exe", ignored) != program_) continue;
    const std::string environment = ReadText(entry.path() / "environ");
    if (Variable(environment, kMark) != directory_.path()) continue;
    const std::string of_mpi = Variable(environment, "OMPI_COMM_WORLD_RANK");
    const std::string rank = of_mpi.empty() ? Variable(environment, "RANK") : of_mpi;
    if (!rank.empty()) found[std::stoi(rank)] = pid;
  }
  return found;
}

bool LaunchedJob::Started() {
  return WaitUntil(std::chrono::seconds(60), [&] {
    ranks_ = FindRanks();
    return static_cast<int>(ranks_.size()) == size_;
  });
}

bool LaunchedJob::GoneWithin(Clock::duration time) {
  return WaitUntil(time, [&] {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) ended_[pid] = status;
    return ended_.contains(launcher_) && std::ranges::all_of(ranks_, [](const auto& rank) {
             return ::kill(rank.second, 0) != 0;
           });
  });
}

int LaunchedJob::ExitCode(pid_t pid) const {
  const auto found = ended_.find(pid);
  if (found == ended_.end()) return -1000;
  return WIFEXITED(found->second) ? WEXITSTATUS(found->second) : -WTERMSIG(found->second);
}

SharedMemoryNames::SharedMemoryNames() : before_(NamesInSharedMemory()) {}

std::vector<std::string> SharedMemoryNames::Left() const {
  std::vector<std::string> left;
  for (const std::string& name : NamesInSharedMemory()) {
    const bool ours = name.find("autodist") != std::string::npos;
    if (ours && std::ranges::find(before_, name) == before_.end()) left.push_back(name);
  }
  return left;
}

}  // namespace autodist::testing
