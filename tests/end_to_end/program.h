// Runs the autodist program as a user does, and says how it ended.
#ifndef AUTODIST_TESTS_END_TO_END_PROGRAM_H_
#define AUTODIST_TESTS_END_TO_END_PROGRAM_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "autodist/checkpoint/testing/safetensors_builder.h"

namespace autodist::testing {

using checkpoint::testing::ScratchDirectory;

using Arguments = std::vector<std::string>;

// `more` behind `base`; a flag of `more` takes the place of the same flag of `base`.
Arguments Merged(const Arguments& base, const Arguments& more);

struct ProgramOptions {
  // Beside PATH, HOME and XDG_CACHE_HOME (of the test's scratch directory): nothing is inherited.
  std::map<std::string, std::string> environment = {};
  std::filesystem::path working_directory = {};  // default: where the test runs
  Arguments wrapper = {};                        // before the program: {"taskset", "-c", "0"}
  uint64_t max_file_bytes = 0;                   // RLIMIT_FSIZE with SIGXFSZ ignored; 0: no limit
  uint64_t max_address_bytes = 0;                // RLIMIT_AS; 0: no limit
  double timeout_s = 60;                         // then it is killed, and the test fails
};

struct Outcome {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  std::string output;
  std::string errors;
  double seconds = 0;
  int64_t peak_rss_bytes = 0;
};

// A started program. The destructor kills what is still running, children included.
class Program {
 public:
  Program(const Arguments& arguments, const std::filesystem::path& home,
          const ProgramOptions& options = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Signal(int signal) const;
  // Waits until stdout (stderr) holds `text`; false when the program ended or `seconds` passed
  // before.
  bool Printed(const std::string& text, double seconds = 30);
  bool Logged(const std::string& text, double seconds = 30);
  // Waits for the end.
  Outcome Wait();

 private:
  bool Drain(int wait_ms);  // false when both pipes are closed
  bool Holds(const std::string& collected, const std::string& text, double seconds);

  pid_t pid_ = 0;
  int pipes_[2] = {-1, -1};  // stdout, stderr
  double timeout_s_;
  double start_s_;
  Outcome outcome_;
};

// Where the program under test is.
std::filesystem::path ProgramPath();

// A test with a directory of its own, which is $HOME of the programs it runs.
class ProgramTest : public ::testing::Test {
 protected:
  Outcome Run(const Arguments& arguments, const ProgramOptions& options = {}) const;
  // As Run, for a run that must succeed; its stdout.
  std::string Output(const Arguments& arguments, const ProgramOptions& options = {}) const;

  const ScratchDirectory scratch_;
};

// The program refused: `exit_code`, nothing on stdout, and on stderr one sentence that holds all
// `words`, "autodist: ..." (with the rank in front where a launcher started it).
::testing::AssertionResult Refused(const Outcome& outcome, int exit_code,
                                   const std::vector<std::string>& words);

// How an outcome reads in a message of a failed test.
std::string Shown(const Outcome& outcome);

}  // namespace autodist::testing

#endif  // AUTODIST_TESTS_END_TO_END_PROGRAM_H_
