// Tests only: a job of rank processes as a launcher starts it, watched from outside.
#ifndef AUTODIST_TESTS_PROCESS_LAUNCHED_JOB_H_
#define AUTODIST_TESTS_PROCESS_LAUNCHED_JOB_H_

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace autodist::testing {

// kNone: the program alone, whatever the number of ranks. kForked: a parent that sets torchrun's
// variables, starts the ranks and waits for them, as a shell script would; it ends with the largest
// exit code.
enum class Launcher { kNone, kForked, kTorchrun, kMpirun };
void PrintTo(Launcher launcher, std::ostream* out);

// Where torchrun is, or "": AUTODIST_TORCHRUN, else in PATH.
std::string FindTorchrun();

std::string ReadText(const std::filesystem::path& path);  // "" when there is none

// Looks every 10 ms. False: the time is over.
bool WaitUntil(std::chrono::steady_clock::duration time, const std::function<bool()>& condition);

// A fresh directory, removed at the end.
class TestDirectory {
 public:
  explicit TestDirectory(const std::string& name);
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A running job. Orphans come to this process, so that it sees how they end; what still runs is
// killed at the end. One at a time.
class LaunchedJob {
 public:
  // Each rank runs `command`, found in PATH or an absolute path.
  LaunchedJob(Launcher launcher, int ranks, const std::vector<std::string>& command);
  ~LaunchedJob();
  LaunchedJob(const LaunchedJob&) = delete;
  LaunchedJob& operator=(const LaunchedJob&) = delete;

  // Waits until all ranks run their program.
  bool Started();
  // REQUIRES Started().
  pid_t rank(int rank) const { return ranks_.at(rank); }
  pid_t launcher() const { return launcher_; }

  std::string output() const { return ReadText(directory_.path() / "output"); }
  std::string errors() const { return ReadText(directory_.path() / "errors"); }

  bool GoneWithin(std::chrono::steady_clock::duration time);
  // Of the launcher, or of a rank whose launcher died; -signal when a signal ended it.
  int ExitCode(pid_t pid) const;

 protected:
  std::map<int, pid_t> ranks_;  // known so far

 private:
  [[noreturn]] void Launch(Launcher launcher, int ranks, std::vector<std::string> command) const;
  [[noreturn]] void LaunchByHand(int ranks, const std::vector<std::string>& command) const;
  std::map<int, pid_t> FindRanks() const;

  const TestDirectory directory_;
  const int size_;
  const std::string program_;
  pid_t launcher_ = 0;
  std::map<pid_t, int> ended_;
};

// Remembers what lies in /dev/shm and finds what a job left there.
class SharedMemoryNames {
 public:
  SharedMemoryNames();
  // New ones of ours; other programs may have come meanwhile.
  std::vector<std::string> Left() const;

 private:
  std::vector<std::string> before_;
};

}  // namespace autodist::testing

#endif  // AUTODIST_TESTS_PROCESS_LAUNCHED_JOB_H_
