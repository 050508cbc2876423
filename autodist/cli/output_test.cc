// Where the output goes, with the program itself: a reader that is gone and a limit on file sizes
// are errors, not signals and not silence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace autodist::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kGenerate = AUTODIST_BINARY_DIR
    "/autodist generate " AUTODIST_SOURCE_DIR
    "/tests/golden/data/llama_plain --token-ids 1,2 --max-output-length 8 --no-cache";

// Exit code of a shell command; 128 + n when signal n ended it.
int Shell(const std::string& command) {
  const int status = std::system(("bash -c '" + command + "'").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(OutputTest, AClosedStdoutEndsTheRun) {
  EXPECT_EQ(Shell(kGenerate + " > /dev/null"), 0);
  EXPECT_EQ(Shell(kGenerate + " >&- 2> /dev/null"), 1);
  // The reader is gone before anything is written.
  EXPECT_EQ(Shell("exec 3> >(exec 0<&-; sleep 0); sleep 0.3; " + kGenerate + " 2> /dev/null >&3"),
            1);
}

TEST(OutputTest, AFullDiskEndsTheRun) {
  EXPECT_EQ(Shell(kGenerate + " > /dev/full 2> /dev/null"), 1);
}

TEST(OutputTest, ALimitOnFileSizesIsAnErrorAndNotASignal) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the runtime of ThreadSanitizer writes a file of its own before main() begins";
#endif
  const std::string directory =
      (std::filesystem::temp_directory_path() / "autodist_output_test").string();
  EXPECT_EQ(Shell("ulimit -f 0; " + kGenerate + " --output-dir " + directory +
                  " 2> /dev/null | cat > /dev/null; exit ${PIPESTATUS[0]}"),
            1);
  std::filesystem::remove_all(directory);
}

// What the program writes to its terminal, stdout and stderr together.
std::string OnTerminal(const std::string& command) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::execlp("bash", "bash", "-c", command.c_str(), nullptr);
    ::_exit(98);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));  // ends with EIO when the child is gone
  ::close(terminal);
  ::waitpid(child, nullptr, 0);
  return text;
}

TEST(ProgressTest, IsForTerminalsAndNotForFiles) {
  EXPECT_THAT(OnTerminal(kGenerate), HasSubstr("\r\x1b[Kloading: "));
  EXPECT_THAT(OnTerminal(kGenerate + " --quiet"), Not(HasSubstr("loading")));
  EXPECT_THAT(OnTerminal(kGenerate + " 2>&1 | cat"), Not(HasSubstr("loading")));
}

}  // namespace
}  // namespace autodist::cli
