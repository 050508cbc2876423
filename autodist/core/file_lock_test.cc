#include "autodist/core/file_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "autodist/core/testing/child_process.h"

namespace autodist::core {
namespace {

class FileLockTest : public ::testing::Test {
 protected:
  FileLockTest() { std::filesystem::remove(path_); }
  ~FileLockTest() override { std::filesystem::remove(path_); }

  const std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) / (std::to_string(::getpid()) + "lock");
  std::string holder_;
};

TEST_F(FileLockTest, NamesItsHolderAndIsGoneAfterwards) {
  {
    const auto lock = FileLock::TryAcquire(path_, holder_);
    ASSERT_TRUE(lock);
    EXPECT_EQ(holder_, "");
    EXPECT_FALSE(FileLock::TryAcquire(path_, holder_));
    EXPECT_EQ(holder_, "pid " + std::to_string(::getpid()));
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

// A process that is being started has its parent's descriptors until it executes its program.
TEST_F(FileLockTest, WaitsForWhatADeadOwnerWasJustStarting) {
  std::array<int, 2> locked;
  ASSERT_EQ(::pipe(locked.data()), 0);
  const pid_t owner = testing::StartChild([&] {
    const auto lock = FileLock::TryAcquire(path_, holder_);
    testing::StartChild([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return 0;
    });
    if (::write(locked[1], "x", 1) == 1) ::pause();
    return 1;
  });
  char byte = 0;
  ASSERT_EQ(::read(locked[0], &byte, 1), 1);
  EXPECT_FALSE(FileLock::TryAcquire(path_, holder_));
  ::kill(owner, SIGKILL);
  ASSERT_EQ(::waitpid(owner, nullptr, 0), owner);
  EXPECT_TRUE(FileLock::TryAcquire(path_, holder_));
  EXPECT_EQ(holder_, "pid " + std::to_string(owner));
  for (const int end : locked) ::close(end);
}

TEST_F(FileLockTest, NamesTheDeadOwnerOfWhatKeepsTheLock) {
  std::array<int, 2> locked, keep;
  ASSERT_EQ(::pipe(locked.data()), 0);
  ASSERT_EQ(::pipe(keep.data()), 0);
  const pid_t owner = testing::StartChild([&] {
    ::close(keep[1]);
    const auto lock = FileLock::TryAcquire(path_, holder_);
    testing::StartChild([&] {
      char byte = 0;
      if (::write(locked[1], "x", 1) != 1) return 1;
      return static_cast<int>(::read(keep[0], &byte, 1));  // until the test ends
    });
    return static_cast<int>(::pause());
  });
  char byte = 0;
  ASSERT_EQ(::read(locked[0], &byte, 1), 1);
  ::kill(owner, SIGKILL);
  ASSERT_EQ(::waitpid(owner, nullptr, 0), owner);
  EXPECT_FALSE(FileLock::TryAcquire(path_, holder_));
  EXPECT_EQ(holder_, "a process that pid " + std::to_string(owner) + " started before it died");
  for (const int end : {locked[0], locked[1], keep[0], keep[1]}) ::close(end);
}

}  // namespace
}  // namespace autodist::core
