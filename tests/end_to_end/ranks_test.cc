// Ranks that are separate processes, launchers that contradict themselves, signals, and machines
// with little of everything.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

using ::testing::HasSubstr;

// Long enough for anything to happen in between.
TinyShape LongShape() {
  TinyShape shape;
  shape.positions = 1'000'000;
  return shape;
}

class RanksTest : public ProgramTest {
 protected:
  RanksTest() { TinyModel(LongShape()).Write(directory_); }

  Arguments Generate(const Arguments& flags) const {
    return Merged({"generate", directory_, "--ignore-eos", "--no-cache"}, flags);
  }
  Arguments Short(const Arguments& flags = {}) const {
    return Merged(Generate({"--token-ids", "5,6,7", "--max-output-length", "9", "--json"}), flags);
  }
  // Minutes of work; prints each token as it comes.
  Arguments Long(const Arguments& flags = {}) const {
    return Merged(Generate({"--prompt", "abc", "--max-output-length", "300000"}), flags);
  }
  // One rank as a script starts it.
  std::unique_ptr<Program> Rank(int rank, int ranks, const Arguments& arguments) const {
    return std::make_unique<Program>(
        arguments, scratch_.path(),
        ProgramOptions{.environment = {{"RANK", std::to_string(rank)},
                                       {"WORLD_SIZE", std::to_string(ranks)},
                                       {"MASTER_PORT", std::to_string(::getpid())}}});
  }
  static core::Json Ids(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
    if (outcome.exit_code != 0) return nullptr;
    return core::ParseJson(outcome.output, "stdout")["prompts"][0]["token_ids"];
  }

  const std::filesystem::path directory_ = scratch_ / "model";
};

TEST_F(RanksTest, Row45InterruptSavesFinishedPrompts) {
  std::string prompts;
  for (int i = 0; i < 3000; ++i) prompts += fmt::format("prompt {}\n", i);
  WriteBytes(scratch_ / "prompts", prompts);
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::filesystem::path results = scratch_ / ("results" + std::to_string(signal));
    Program program(Generate({"--prompt-file", scratch_ / "prompts", "--max-output-length", "100",
                              "--batch-size", "2", "--tp", "2", "--output-dir", results}),
                    scratch_.path());
    ASSERT_TRUE(program.Printed("prompt 3"));
    program.Signal(signal);
    const Outcome outcome = program.Wait();
    EXPECT_EQ(outcome.exit_code, 128 + signal) << Shown(outcome);
    const core::Json saved = core::ParseJsonFile(results / "generate.json")["prompts"];
    ASSERT_GE(saved.size(), 4u);
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(saved[i]["finish_reason"], "length");
      EXPECT_EQ(saved[i]["token_ids"].size(), 100u);
    }
    EXPECT_TRUE(saved.back()["finish_reason"].is_null()) << "it ran to the end";
  }
}

TEST_F(RanksTest, Row45ASignalToAnyRankEndsAll) {
  for (const int signalled : {0, 1}) {
    std::unique_ptr<Program> ranks[] = {Rank(0, 2, Long({"--tp", "2"})),
                                        Rank(1, 2, Long({"--tp", "2"}))};
    ASSERT_TRUE(ranks[0]->Printed("abc"));
    ::usleep(500'000);  // rank 1 may be a moment behind: its handler must be there
    ranks[signalled]->Signal(SIGTERM);
    const Outcome ended = ranks[signalled]->Wait();
    const Outcome other = ranks[1 - signalled]->Wait();
    EXPECT_EQ(ended.exit_code, 128 + SIGTERM) << Shown(ended);
    EXPECT_EQ(other.exit_code, 1) << Shown(other);
    EXPECT_THAT(ended.errors + other.errors, HasSubstr("interrupted by signal 15"));
  }
}

// The first signal waits for the next token, which cannot come; the second does not wait. Those
// that follow make up for one that was merged with the first, when this machine is busy.
TEST_F(RanksTest, Row45TheSecondInterruptIsImmediate) {
  auto rank0 = Rank(0, 2, Long({"--tp", "2"}));
  auto rank1 = Rank(1, 2, Long({"--tp", "2"}));
  ASSERT_TRUE(rank0->Printed("abc"));
  rank1->Signal(SIGSTOP);
  for (int i = 0; i < 10; ++i) {
    rank0->Signal(SIGINT);
    ::usleep(100'000);
  }
  const Outcome outcome = rank0->Wait();
  EXPECT_EQ(outcome.exit_code, 130) << Shown(outcome);
  EXPECT_LT(outcome.seconds, 30);
}

TEST_F(RanksTest, Row48AStoppedRankIsNamedByTheTimeout) {
  const Arguments arguments = Long({"--tp", "2", "--collective-timeout", "2.5"});
  auto rank0 = Rank(0, 2, arguments);
  auto rank1 = Rank(1, 2, arguments);
  ASSERT_TRUE(rank0->Printed("abc"));
  rank1->Signal(SIGSTOP);
  const Outcome waiting = rank0->Wait();
  EXPECT_EQ(waiting.exit_code, 3) << Shown(waiting);
  EXPECT_THAT(waiting.errors, HasSubstr("rank 1 has not"));
  EXPECT_THAT(waiting.errors, HasSubstr("waited 2.5 s"));
  EXPECT_EQ(rank1->Wait().signal, SIGKILL);
}

TEST_F(RanksTest, Row48AShortPauseIsTolerated) {
  const Arguments arguments = Short({"--tp", "2", "--max-output-length", "2000"});
  const core::Json expected = Ids(Run(arguments));
  auto rank0 = Rank(0, 2, arguments);
  auto rank1 = Rank(1, 2, arguments);
  ::usleep(100'000);
  rank1->Signal(SIGSTOP);
  ::usleep(500'000);
  rank1->Signal(SIGCONT);
  EXPECT_EQ(Ids(rank0->Wait()), expected);
  EXPECT_EQ(rank1->Wait().exit_code, 0);
}

TEST_F(RanksTest, Row50ARankThatEndsEarlyEndsTheJob) {
  auto rank0 = Rank(0, 2, Long({"--pp", "2"}));
  auto rank1 = Rank(1, 2, Long({"--pp", "2"}));
  ASSERT_TRUE(rank0->Printed("abc"));
  rank1->Signal(SIGKILL);
  EXPECT_EQ(rank1->Wait().signal, SIGKILL);
  const Outcome outcome = rank0->Wait();
  EXPECT_EQ(outcome.exit_code, 3) << Shown(outcome);
  EXPECT_THAT(outcome.errors, HasSubstr("rank 1"));
}

TEST_F(RanksTest, Row50ABadFlagOfOneRankIsRefusedByAll) {
  auto rank0 = Rank(0, 2, Short({"--tp", "2"}));
  auto rank1 = Rank(1, 2, Short({"--tp", "2", "--temperature", "-1"}));
  const Outcome first = rank0->Wait();
  const Outcome second = rank1->Wait();
  EXPECT_EQ(first.exit_code, 2) << Shown(first);
  EXPECT_EQ(second.exit_code, 2) << Shown(second);
  const Outcome& printed = first.errors.empty() ? second : first;
  EXPECT_TRUE(Refused(printed, 2, {"--temperature"}));
  EXPECT_TRUE(first.errors.empty() || second.errors.empty()) << first.errors << second.errors;
}

TEST_F(RanksTest, Row51RanksThatDisagreeAreRefusedWithBothValues) {
  TinyModel other(LongShape());
  other.config["rms_norm_eps"] = 1e-4;
  const std::filesystem::path changed = scratch_ / "changed";
  other.Write(changed);
  Arguments arguments = Short({"--tp", "2"});
  auto rank0 = Rank(0, 2, arguments);
  arguments[1] = changed;
  auto rank1 = Rank(1, 2, arguments);
  const Outcome first = rank0->Wait();
  const Outcome second = rank1->Wait();
  EXPECT_EQ(first.exit_code, 2) << Shown(first);
  EXPECT_EQ(second.exit_code, 2) << Shown(second);
  const Outcome& printed = first.errors.empty() ? second : first;
  EXPECT_TRUE(Refused(printed, 2, {"checkpoint", "differs", "rank 0 has", "rank 1 has"}));
  EXPECT_TRUE(first.errors.empty() || second.errors.empty()) << first.errors << second.errors;
}

TEST_F(RanksTest, Row51WorldSizesAndPlansThatDiffer) {
  auto rank0 = Rank(0, 2, Short({"--tp", "2"}));
  auto rank1 = Rank(1, 3, Short({"--tp", "2"}));
  const Outcome first = rank0->Wait();
  const Outcome second = rank1->Wait();
  EXPECT_EQ(first.exit_code, 2) << Shown(first);
  EXPECT_EQ(second.exit_code, 2) << Shown(second);
  EXPECT_THAT(first.errors + second.errors, HasSubstr("2 ranks"));

  auto tensor = Rank(0, 2, Short({"--tp", "2"}));
  auto pipeline = Rank(1, 2, Short({"--pp", "2"}));
  const Outcome third = tensor->Wait();
  const Outcome fourth = pipeline->Wait();
  EXPECT_EQ(third.exit_code, 2) << Shown(third);
  EXPECT_EQ(fourth.exit_code, 2) << Shown(fourth);
  EXPECT_THAT(third.errors + fourth.errors, HasSubstr("the mesh differs"));
}

TEST_F(RanksTest, Row51RequestsThatDifferAreRefused) {
  for (const Arguments& flags :
       {Arguments{"--temperature", "0.5"}, Arguments{"--max-output-length", "3"},
        Arguments{"--dtype", "bfloat16"}, Arguments{"--token-ids", "1,2"}}) {
    const Arguments arguments = Short({"--tp", "2"});
    auto rank0 = Rank(0, 2, arguments);
    auto rank1 = Rank(1, 2, Merged(arguments, flags));
    const Outcome first = rank0->Wait();
    const Outcome second = rank1->Wait();
    EXPECT_EQ(first.exit_code, 2) << flags[0] << Shown(first);
    EXPECT_EQ(second.exit_code, 2) << flags[0] << Shown(second);
    EXPECT_THAT(first.errors + second.errors, HasSubstr("differs between ranks")) << flags[0];
  }
}

TEST_F(RanksTest, Row55ATinySharedMemory) {
  // Both ranks in one mount namespace, in which /dev/shm has 64 KiB; the second one's output is not
  // looked at.
  const ProgramOptions options{
      .environment = {{"WORLD_SIZE", "2"}, {"MASTER_PORT", std::to_string(::getpid())}},
      .wrapper = {"unshare", "-m", "sh", "-c",
                  "mount -t tmpfs -o size=64k none /dev/shm || exit 77\n"
                  "RANK=1 \"$0\" \"$@\" >/dev/null 2>&1 &\n"
                  "RANK=0 exec \"$0\" \"$@\""}};
  const Outcome outcome = Run(Short({"--tp", "2"}), options);
  if (outcome.exit_code == 77 || outcome.exit_code == 127 || outcome.errors.find("unshare") == 0)
    GTEST_SKIP() << "no mount namespace: " << outcome.errors;
  if (outcome.exit_code == 0) {
    EXPECT_EQ(Ids(outcome), Ids(Run(Short())));
  } else {
    EXPECT_TRUE(Refused(outcome, 1, {"/dev/shm", "needs", "free"}));
  }
}

TEST_F(RanksTest, TooLittleMemoryForTheRanksIsARuntimeFailure) {
  EXPECT_TRUE(Refused(Run(Short({"--tp", "4"}), {.max_address_bytes = uint64_t{300} << 20}), 1,
                      {"4 ranks", "Cannot allocate memory"}));
}

TEST_F(RanksTest, Row56ManyRanksAndThreadsOnOneCore) {
  const core::Json expected = Ids(Run(Short()));
  const Outcome outcome =
      Run(Short({"--tp", "4", "--pp", "2", "--threads", "3"}),
          {.environment = {{"OMP_NUM_THREADS", "64"}}, .wrapper = {"taskset", "-c", "0"}});
  EXPECT_EQ(Ids(outcome), expected);
  EXPECT_NE(outcome.errors.find("8 ranks of 3 threads share 1 usable core"), std::string::npos)
      << Shown(outcome);
  EXPECT_LT(outcome.seconds, 30) << "threads that spin for each other take minutes";
}

TEST_F(RanksTest, Row57LaunchersThatDisagree) {
  const auto refused = [&](const std::map<std::string, std::string>& variables,
                           const Arguments& flags, const std::vector<std::string>& words) {
    return Refused(Run(Short(flags), {.environment = variables}), 2, words);
  };
  EXPECT_TRUE(refused({{"RANK", "0"},
                       {"WORLD_SIZE", "2"},
                       {"OMPI_COMM_WORLD_RANK", "1"},
                       {"OMPI_COMM_WORLD_SIZE", "2"}},
                      {"--tp", "2"}, {"RANK is 0", "OMPI_COMM_WORLD_RANK is 1"}));
  EXPECT_TRUE(
      refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "2"}, {"LOCAL_WORLD_SIZE", "2"}},
              {"--tp", "2"}, {"LOCAL_RANK is 2", "less than 2"}));
  EXPECT_TRUE(refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}},
                      {"--tp", "2", "--local-rank", "1"},
                      {"LOCAL_RANK is 0", "--local-rank is 1"}));
  EXPECT_TRUE(refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}}, {"--tp", "2", "--world-size", "3"},
                      {"WORLD_SIZE is 2", "--world-size is 3"}));
  EXPECT_TRUE(refused({{"RANK", "x"}, {"WORLD_SIZE", "2"}}, {}, {"RANK is 'x'"}));
  EXPECT_TRUE(refused({{"WORLD_SIZE", "2"}}, {}, {"WORLD_SIZE is 2", "RANK"}));
  EXPECT_TRUE(refused({{"RANK", "0"}, {"WORLD_SIZE", "1"}}, {"--tp", "2"},
                      {"tensor_parallel_size 2", "world_size 1"}));
}

}  // namespace
}  // namespace autodist::testing
