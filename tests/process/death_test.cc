// When a rank or the launcher dies, everything is gone within five seconds: no process, nothing in
// /dev/shm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "tests/process/launched_job.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FindTorchrun;
using testing::LaunchedJob;
using testing::Launcher;
using testing::WaitUntil;

constexpr seconds kDeathTime{5};
// A rank's time-out does not count time in which it could not look, which on a busy machine is
// much.
constexpr seconds kStoppedTime{12};
constexpr int kRanks = 3;

// Ranks that meet and then behave as told (rank_program.cc).
class Job : public LaunchedJob {
 public:
  Job(Launcher launcher, const std::string& behaviour, const std::string& timeout_s = "60")
      : Job(std::make_unique<testing::TestDirectory>("death"), launcher, behaviour, timeout_s) {}

  // All ranks have met and do what they are here for. They say themselves who they are: some are
  // gone at once.
  bool Started() {
    return WaitUntil(seconds(60), [&] {
      for (int rank = 0; rank < kRanks; ++rank) {
        const std::string pid = testing::ReadText(facts_->path() / std::to_string(rank));
        if (pid.empty()) return false;
        ranks_[rank] = std::stoi(pid);
      }
      return true;
    });
  }
  uintmax_t turns(int rank) const {
    std::error_code error;
    const uintmax_t size = fs::file_size(facts_->path() / (std::to_string(rank) + ".turns"), error);
    return error ? 0 : size;
  }

 private:
  Job(std::unique_ptr<testing::TestDirectory> facts, Launcher launcher,
      const std::string& behaviour, const std::string& timeout_s)
      : LaunchedJob(launcher, kRanks, {AUTODIST_RANK_PROGRAM, facts->path(), behaviour, timeout_s}),
        facts_(std::move(facts)) {}

  const std::unique_ptr<testing::TestDirectory> facts_;
};

class DeathTest : public ::testing::TestWithParam<Launcher> {
 protected:
  void SetUp() override {
    if (GetParam() == Launcher::kTorchrun && FindTorchrun().empty()) {
      GTEST_SKIP() << "no torchrun (AUTODIST_TORCHRUN, PATH)";
    }
  }

  const testing::SharedMemoryNames shared_memory_;
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
      EXPECT_THAT(job.errors(),
                  ::testing::HasSubstr("error: rank " + std::to_string(victim) + " (process " +
                                       std::to_string(job.rank(victim)) + ") died"));
    }
  }
  EXPECT_THAT(shared_memory_.Left(), ::testing::IsEmpty());
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
    for (int rank = 0; rank < kRanks; ++rank)
      EXPECT_EQ(job.ExitCode(job.rank(rank)), 3) << behaviour << job.errors();
  }
  EXPECT_THAT(shared_memory_.Left(), ::testing::IsEmpty());
}

TEST_P(DeathTest, ARankThatExitsEarlyIsAFailureEvenWithCodeZero) {
  Job job(GetParam(), "exit early");
  ASSERT_TRUE(job.Started()) << job.errors();
  EXPECT_TRUE(job.GoneWithin(kDeathTime)) << job.errors();
  EXPECT_NE(job.ExitCode(job.launcher()), 0);
  EXPECT_THAT(job.errors(), ::testing::HasSubstr("exited before the job was done"));
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

// Nobody sees that a rank is stopped, but for the time-out. What it leaves is taken away with the
// job.
TEST_P(DeathTest, AStoppedRankIsNamedByTheTimeout) {
  Job job(GetParam(), "communicate", "3");
  ASSERT_TRUE(job.Started()) << job.errors();
  ::kill(job.rank(1), SIGSTOP);
  EXPECT_TRUE(job.GoneWithin(seconds(3) + kStoppedTime)) << job.errors();
  EXPECT_THAT(job.errors(), ::testing::ContainsRegex(
                                "rank 1 has not (entered|finished) all_reduce #[0-9]+ \\(group "
                                "world, [0-9]+ bytes\\); ranks 0, 2 waited 3 s; rank 1 has shown "
                                "no sign of life for "));
}

// Ranks that wait an hour for one that loads do not wait for one that is stopped while it loads.
TEST_P(DeathTest, AStoppedRankIsNoticedInALongWait) {
  Job job(GetParam(), "load", "3");
  ASSERT_TRUE(job.Started()) << job.errors();
  std::this_thread::sleep_for(milliseconds(3500));
  ASSERT_FALSE(job.GoneWithin(milliseconds(0))) << "a rank that works may take longer than 3 s";
  ::kill(job.rank(2), SIGSTOP);
  EXPECT_TRUE(job.GoneWithin(seconds(3) + kStoppedTime)) << job.errors();
  EXPECT_THAT(job.errors(),
              ::testing::ContainsRegex(
                  "rank 2 has not entered barrier #2 \\(group world, 0 bytes\\); "
                  "ranks 0, 1 waited [0-9.]+ s; rank 2 has shown no sign of life for 3"));
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

INSTANTIATE_TEST_SUITE_P(Forked, DeathTest, ::testing::Values(Launcher::kForked));
INSTANTIATE_TEST_SUITE_P(Torchrun, DeathTest, ::testing::Values(Launcher::kTorchrun));
INSTANTIATE_TEST_SUITE_P(Mpirun, DeathTest, ::testing::Values(Launcher::kMpirun));

}  // namespace
}  // namespace autodist
