// When a rank or the launcher dies, everything is gone within five seconds: no process, nothing in /dev/shm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace autodist {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kDeathTime{5};
constexpr int kRanks = 3;

enum class Launcher { kForked, kTorchrun, kMpirun };

void PrintTo(Launcher launcher, std::ostream* out) {
  *out << (launcher == Launcher::kForked ? "forked" : launcher == Launcher::kTorchrun ? "torchrun" : "mpirun");
}

// Where torchrun is, or "": AUTODIST_TORCHRUN, else in PATH.
std::string FindTorchrun() {
  if (const char* given = std::getenv("AUTODIST_TORCHRUN")) return given;
  std::istringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) {
    if (::access((folder + "/torchrun").c_str(), X_OK) == 0) return folder + "/torchrun";
  }
  return "";
}

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool WaitUntil(Clock::duration time, const std::function<bool()>& condition) {
  const Clock::time_point end = Clock::now() + time;
  while (!condition()) {
    if (Clock::now() > end) return condition();
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

[[noreturn]] void Execute(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

std::set<std::string> SharedMemoryNames() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator("/dev/shm")) names.insert(entry.path().filename());
  return names;
}

// A running job. Orphans come to this process, so that it sees how they end.
class Job {
 public:
  Job(Launcher launcher, const std::string& behaviour, const std::string& timeout_s = "60")
      : directory_(fs::temp_directory_path() / ("autodist_death_" + std::to_string(::getpid()))) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    const std::vector<std::string> rank = {AUTODIST_RANK_PROGRAM, directory_, behaviour, timeout_s};
    launcher_ = ::fork();
    if (launcher_ == 0) Launch(launcher, rank);
  }
  ~Job() {
    for (pid_t rank : ranks_) ::kill(rank, SIGKILL);
    ::kill(launcher_, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    fs::remove_all(directory_);
  }

  // All ranks have met and do what they are here for.
  bool Started() {
    return WaitUntil(seconds(60), [&] {
      ranks_.clear();
      for (int rank = 0; rank < kRanks; ++rank) {
        const std::string pid = ReadText(directory_ / std::to_string(rank));
        if (!pid.empty()) ranks_.push_back(std::stoi(pid));
      }
      return ranks_.size() == kRanks;
    });
  }
  pid_t launcher() const { return launcher_; }
  pid_t rank(int rank) const { return ranks_[rank]; }
  std::string errors() const { return ReadText(directory_ / "errors"); }
  uintmax_t turns(int rank) const {
    std::error_code error;
    const uintmax_t size = fs::file_size(directory_ / (std::to_string(rank) + ".turns"), error);
    return error ? 0 : size;
  }

  bool GoneWithin(Clock::duration time) {
    return WaitUntil(time, [&] {
      int status = 0;
      for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) ended_[pid] = status;
      return ended_.contains(launcher_) && std::ranges::all_of(ranks_, [](pid_t pid) { return ::kill(pid, 0) != 0; });
    });
  }
  // The exit code of a rank whose launcher died; -signal when a signal ended it.
  int ExitCode(pid_t pid) const {
    const auto found = ended_.find(pid);
    if (found == ended_.end()) return -1000;
    return WIFEXITED(found->second) ? WEXITSTATUS(found->second) : -WTERMSIG(found->second);
  }

 private:
  [[noreturn]] void Launch(Launcher launcher, std::vector<std::string> rank) const {
    const std::string ranks = std::to_string(kRanks);
    const std::string errors = directory_ / "errors";
    if (std::freopen(errors.c_str(), "w", stderr) == nullptr) ::_exit(127);
    switch (launcher) {
      case Launcher::kForked:
        LaunchByHand(rank);
      case Launcher::kTorchrun:
        rank.insert(rank.begin(), {FindTorchrun(), "--no-python", "--standalone", "--nproc_per_node", ranks});
        Execute(rank);
      case Launcher::kMpirun:
        rank.insert(rank.begin(), {"mpirun", "--oversubscribe", "--bind-to", "none", "-n", ranks});
        Execute(rank);
    }
    ::_exit(127);
  }
  // What a shell script does that starts its ranks and waits for them; ends with the largest exit code.
  [[noreturn]] static void LaunchByHand(const std::vector<std::string>& rank) {
    ::setenv("MASTER_PORT", std::to_string(::getpid()).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(kRanks).c_str(), 1);
    for (int i = 0; i < kRanks; ++i) {
      ::setenv("RANK", std::to_string(i).c_str(), 1);
      if (::fork() == 0) Execute(rank);
    }
    int worst = 0;
    for (int status = 0; ::wait(&status) > 0;) worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
    ::_exit(worst);
  }

  const fs::path directory_;
  pid_t launcher_ = 0;
  std::vector<pid_t> ranks_;
  std::map<pid_t, int> ended_;
};

class DeathTest : public testing::TestWithParam<Launcher> {
 protected:
  void SetUp() override {
    if (GetParam() == Launcher::kTorchrun && FindTorchrun().empty()) {
      GTEST_SKIP() << "no torchrun (AUTODIST_TORCHRUN, PATH)";
    }
    before_ = SharedMemoryNames();
  }
  // Of other programs some may have come meanwhile, but none of ours.
  void ExpectNoNewSharedMemory() const {
    for (const std::string& name : SharedMemoryNames()) {
      EXPECT_TRUE(before_.contains(name) || name.find("autodist") == std::string::npos) << name;
    }
  }

 private:
  std::set<std::string> before_;
};

TEST_P(DeathTest, ARankIsKilledWhileAllCommunicate) {
  for (int victim : {0, kRanks - 1}) {
    Job job(GetParam(), "communicate");
    ASSERT_TRUE(job.Started()) << job.errors();
    ::kill(job.rank(victim), SIGKILL);
    EXPECT_TRUE(job.GoneWithin(kDeathTime)) << job.errors();
    EXPECT_NE(job.ExitCode(job.launcher()), 0);
    if (GetParam() == Launcher::kForked) {
      EXPECT_EQ(job.ExitCode(job.launcher()), 3) << "the code of the survivors";
      EXPECT_THAT(job.errors(), testing::HasSubstr("error: rank " + std::to_string(victim) + " (process " +
                                                   std::to_string(job.rank(victim)) + ") died"));
    }
  }
  ExpectNoNewSharedMemory();
}

// Ranks that do not communicate for a long time do not notice; their watchdogs do.
TEST_P(DeathTest, ARankIsKilledWhileAllCompute) {
  Job job(GetParam(), "compute");
  ASSERT_TRUE(job.Started()) << job.errors();
  ::kill(job.rank(1), SIGKILL);
  EXPECT_TRUE(job.GoneWithin(kDeathTime)) << job.errors();
  if (GetParam() == Launcher::kForked) {
    EXPECT_EQ(job.ExitCode(job.launcher()), 3);
  }
}

TEST_P(DeathTest, TheLauncherIsKilled) {
  for (const char* behaviour : {"communicate", "compute", "receive"}) {
    Job job(GetParam(), behaviour);
    ASSERT_TRUE(job.Started()) << job.errors();
    ::kill(job.launcher(), SIGKILL);
    EXPECT_TRUE(job.GoneWithin(kDeathTime)) << behaviour << job.errors();
    for (int rank = 0; rank < kRanks; ++rank) EXPECT_EQ(job.ExitCode(job.rank(rank)), 3) << behaviour << job.errors();
  }
  ExpectNoNewSharedMemory();
}

TEST_P(DeathTest, ARankThatExitsEarlyIsAFailureEvenWithCodeZero) {
  Job job(GetParam(), "exit early");
  ASSERT_TRUE(job.Started()) << job.errors();
  EXPECT_TRUE(job.GoneWithin(kDeathTime)) << job.errors();
  EXPECT_NE(job.ExitCode(job.launcher()), 0);
  EXPECT_THAT(job.errors(), testing::HasSubstr("exited before the job was done"));
}

TEST_P(DeathTest, AnErrorOfOneRankEndsAllAndIsPrintedOnce) {
  Job job(GetParam(), "fail");
  ASSERT_TRUE(job.Started()) << job.errors();
  EXPECT_TRUE(job.GoneWithin(kDeathTime)) << job.errors();
  EXPECT_NE(job.ExitCode(job.launcher()), 0);
  const std::string errors = job.errors();
  const size_t first = errors.find("error: weights: broken");
  EXPECT_NE(first, std::string::npos) << errors;
  EXPECT_EQ(errors.find("error: weights: broken", first + 1), std::string::npos) << errors;
}

// Nobody sees that a rank is stopped, but for the time-out. What it leaves is taken away with the job.
TEST_P(DeathTest, AStoppedRankIsNamedByTheTimeout) {
  Job job(GetParam(), "communicate", "1.5");
  ASSERT_TRUE(job.Started()) << job.errors();
  ::kill(job.rank(1), SIGSTOP);
  EXPECT_TRUE(job.GoneWithin(milliseconds(1500) + kDeathTime)) << job.errors();
  EXPECT_THAT(job.errors(), testing::ContainsRegex("rank 1 has not (entered|finished) all_reduce #[0-9]+ \\(group "
                                                   "world, [0-9]+ bytes\\); ranks 0, 2 waited 1.5 s"));
}

TEST_P(DeathTest, AShortPauseIsTolerated) {
  Job job(GetParam(), "communicate", "30");
  ASSERT_TRUE(job.Started()) << job.errors();
  ::kill(job.rank(2), SIGSTOP);
  std::this_thread::sleep_for(milliseconds(700));
  const uintmax_t before = job.turns(0);
  ::kill(job.rank(2), SIGCONT);
  EXPECT_TRUE(WaitUntil(seconds(20), [&] { return job.turns(0) > before + 10; })) << job.errors();
}

INSTANTIATE_TEST_SUITE_P(Forked, DeathTest, testing::Values(Launcher::kForked));
INSTANTIATE_TEST_SUITE_P(Torchrun, DeathTest, testing::Values(Launcher::kTorchrun));
INSTANTIATE_TEST_SUITE_P(Mpirun, DeathTest, testing::Values(Launcher::kMpirun));

}  // namespace
}  // namespace autodist
