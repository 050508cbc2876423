// Refusals of ranks that are processes, with the program itself: all of them end with code 2, and
// one of them says why.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace autodist::cli {
namespace {

const std::string kProgram = AUTODIST_BINARY_DIR "/autodist";
const std::string kModel = AUTODIST_SOURCE_DIR "/tests/golden/data/llama_plain";

struct Outcome {
  int exit_code = -1;
  std::string errors;  // stderr
};

class RefusalTest : public ::testing::Test {
 protected:
  RefusalTest()
      : directory_(std::filesystem::temp_directory_path() /
                   ("autodist_refusal_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~RefusalTest() override { std::filesystem::remove_all(directory_); }

  // One process per element, with torchrun's variables; each gets `arguments` and its own flags.
  std::vector<Outcome> RunRanks(const std::vector<std::string>& arguments,
                                const std::vector<std::vector<std::string>>& own) {
    std::vector<pid_t> children;
    for (size_t rank = 0; rank < own.size(); ++rank) {
      std::vector<std::string> words = {kProgram};
      words.insert(words.end(), arguments.begin(), arguments.end());
      words.insert(words.end(), own[rank].begin(), own[rank].end());
      const pid_t child = ::fork();
      if (child == 0) Exec(words, rank, own.size());
      children.push_back(child);
    }
    std::vector<Outcome> outcomes;
    for (size_t rank = 0; rank < children.size(); ++rank) {
      int status = 0;
      ::waitpid(children[rank], &status, 0);
      std::ostringstream text;
      text << std::ifstream(ErrorFile(rank)).rdbuf();
      outcomes.push_back({WIFEXITED(status) ? WEXITSTATUS(status) : -1, text.str()});
    }
    return outcomes;
  }

  // All ranks ended with 2, and `message` is all that was said, by one of them.
  static void ExpectOneRefusal(const std::vector<Outcome>& outcomes, const std::string& message) {
    std::string said;
    for (const Outcome& outcome : outcomes) {
      EXPECT_EQ(outcome.exit_code, 2) << outcome.errors;
      said += outcome.errors;
    }
    const size_t at = said.find(message);
    EXPECT_NE(at, std::string::npos) << said;
    EXPECT_EQ(said.find('\n') + 1, said.size()) << "more than one line: " << said;
  }

  std::filesystem::path directory_;
  size_t odd_one_ = 99;  // the rank that is told of one rank more than there are

 private:
  std::string ErrorFile(size_t rank) const {
    return (directory_ / ("stderr_" + std::to_string(rank))).string();
  }

  [[noreturn]] void Exec(const std::vector<std::string>& words, size_t rank, size_t world) {
    ::setenv("RANK", std::to_string(rank).c_str(), 1);
    ::setenv("WORLD_SIZE", std::to_string(world + (rank == odd_one_ ? 1 : 0)).c_str(), 1);
    ::setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
    ::setenv("MASTER_PORT", std::to_string(20000 + ::getppid() % 40000).c_str(), 1);
    if (std::freopen(ErrorFile(rank).c_str(), "w", stderr) == nullptr) ::_exit(99);
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execv(kProgram.c_str(), argv.data());
    ::_exit(98);
  }
};

TEST_F(RefusalTest, AFlagThatIsWrongOnAllRanks) {
  ExpectOneRefusal(RunRanks({"generate", kModel, "--promt", "a"}, {{}, {}}),
                   "unknown flag --promt; did you mean --prompt?");
}

TEST_F(RefusalTest, AFileThatIsMissingOnOneRank) {
  const std::string absent = (directory_ / "absent.json").string();
  // Rank 0 has no error of its own: it learns of it where it joins the job.
  ExpectOneRefusal(RunRanks({"generate", kModel, "--token-ids", "1,2", "--tp", "2", "--no-cache"},
                            {{}, {"--config", absent}}),
                   "absent.json");
}

TEST_F(RefusalTest, AModelThatIsNotThere) {
  ExpectOneRefusal(RunRanks({"generate", "/nowhere", "--token-ids", "1"}, {{}, {}}), "/nowhere");
}

TEST_F(RefusalTest, AMeshThatDoesNotFitTheWorld) {
  ExpectOneRefusal(
      RunRanks({"generate", kModel, "--token-ids", "1", "--tp", "3", "--no-cache"}, {{}, {}}),
      "world_size");
}

TEST_F(RefusalTest, RanksThatDoNotAgreeHowManyTheyAre) {
  odd_one_ = 1;
  ExpectOneRefusal(
      RunRanks({"generate", kModel, "--token-ids", "1", "--tp", "2", "--no-cache"}, {{}, {}}),
      "rank 0 was started for 2 ranks, rank 1 for 3");
}

}  // namespace
}  // namespace autodist::cli
