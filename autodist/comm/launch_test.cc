#include "autodist/comm/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

using Variables = std::map<std::string, std::string>;

LaunchInfo Detect(const Variables& variables, const LaunchFlags& flags = {}) {
  return DetectLaunch(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      flags);
}

std::string Refusal(const Variables& variables, const LaunchFlags& flags = {}) {
  try {
    Detect(variables, flags);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(LaunchTest, NothingIsSet) {
  const LaunchInfo info = Detect({});
  EXPECT_EQ(info.launcher, Launcher::kNone);
  EXPECT_EQ(info.rank, 0);
  EXPECT_EQ(info.world_size, 1);
}

TEST(LaunchTest, Torchrun) {
  const LaunchInfo info = Detect({{"RANK", "5"},
                                  {"WORLD_SIZE", "8"},
                                  {"LOCAL_RANK", "1"},
                                  {"LOCAL_WORLD_SIZE", "4"},
                                  {"MASTER_ADDR", "node0"},
                                  {"MASTER_PORT", "29511"},
                                  {"TORCHELASTIC_RUN_ID", "abc"},
                                  {"TORCHELASTIC_RESTART_COUNT", "0"}});
  EXPECT_EQ(info.launcher, Launcher::kTorchrun);
  EXPECT_EQ(info.rank, 5);
  EXPECT_EQ(info.world_size, 8);
  EXPECT_EQ(info.local_rank, 1);
  EXPECT_EQ(info.local_world_size, 4);
  EXPECT_EQ(info.job, "MASTER_PORT 29511, run abc, restart 0");
}

// Four terminals, or a debugger: LOCAL_RANK alone is the rank of a single host.
TEST(LaunchTest, ByHand) {
  const LaunchInfo info = Detect({{"LOCAL_RANK", "1"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(info.launcher, Launcher::kManual);
  EXPECT_EQ(info.rank, 1);
  EXPECT_EQ(info.local_world_size, 2);
  EXPECT_EQ(Detect({}, {.local_rank = 1, .world_size = 2}).rank, 1);
  EXPECT_EQ(Detect({{"RANK", "1"}, {"WORLD_SIZE", "2"}}).local_rank, 1);
}

TEST(LaunchTest, Mpi) {
  const Variables open_mpi = {{"OMPI_COMM_WORLD_RANK", "3"},
                              {"OMPI_COMM_WORLD_SIZE", "4"},
                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                              {"PMIX_NAMESPACE", "4711"}};
  const LaunchInfo info = Detect(open_mpi);
  EXPECT_EQ(info.launcher, Launcher::kMpi);
  EXPECT_EQ(info.rank, 3);
  EXPECT_EQ(info.local_world_size, 2);
  EXPECT_EQ(info.job, "mpirun job 4711");
  const LaunchInfo mpich = Detect({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
  EXPECT_EQ(mpich.launcher, Launcher::kMpi);
  EXPECT_EQ(mpich.job, "");
  // Variables of an allocation around it do not count.
  Variables inside_slurm = open_mpi;
  inside_slurm.insert({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}});
  EXPECT_EQ(Detect(inside_slurm).rank, 3);
}

TEST(LaunchTest, SlurmStepButNotItsBatchScript) {
  Variables step = {
      {"SLURM_JOB_ID", "77"}, {"SLURM_STEP_ID", "1"}, {"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "4"}};
  const LaunchInfo info = Detect(step);
  EXPECT_EQ(info.launcher, Launcher::kSlurm);
  EXPECT_EQ(info.rank, 2);
  EXPECT_EQ(info.job, "Slurm step 77.1");
  step.erase("SLURM_STEP_ID");
  EXPECT_EQ(Detect(step).launcher, Launcher::kNone);
}

TEST(LaunchTest, SourcesThatDisagreeAreRefusedWithBothValues) {
  EXPECT_EQ(Refusal({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"RANK", "1"}}),
            "OMPI_COMM_WORLD_RANK is 0, but RANK is 1: the launchers disagree");
  EXPECT_EQ(Refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}}, {.local_rank = {}, .world_size = 4}),
            "WORLD_SIZE is 2, but --world-size is 4: the launchers disagree");
  EXPECT_EQ(
      Refusal({{"LOCAL_RANK", "0"}, {"WORLD_SIZE", "2"}}, {.local_rank = 1, .world_size = {}}),
      "LOCAL_RANK is 0, but --local-rank is 1: the launchers disagree");
}

TEST(LaunchTest, ImpossibleValuesAreRefused) {
  EXPECT_EQ(Refusal({{"RANK", "one"}, {"WORLD_SIZE", "2"}}),
            "RANK is 'one', must be a number that is not negative");
  EXPECT_EQ(Refusal({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}),
            "RANK is '-1', must be a number that is not negative");
  EXPECT_EQ(Refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "x"}}),
            "MASTER_PORT is 'x', must be a number that is not negative");
  EXPECT_EQ(Refusal({{"RANK", "99999999999"}}),
            "RANK is '99999999999', must be a number that is not negative");
  EXPECT_EQ(Refusal({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
            "RANK is 2, must be less than 2, the number of ranks (WORLD_SIZE)");
  EXPECT_EQ(Refusal({{"RANK", "1"}}),
            "RANK is 1, but the number of ranks is not given (WORLD_SIZE)");
  EXPECT_EQ(Refusal({{"WORLD_SIZE", "2"}}),
            "WORLD_SIZE is 2, but this process's rank is not given (RANK)");
  EXPECT_EQ(Refusal({{"WORLD_SIZE", "0"}}), "WORLD_SIZE is 0, must be at least 1");
  EXPECT_EQ(
      Refusal({{"RANK", "1"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "4"}, {"LOCAL_WORLD_SIZE", "4"}}),
      "LOCAL_RANK is 4, must be less than 4, the number of ranks on this host");
  EXPECT_EQ(Refusal({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"LOCAL_WORLD_SIZE", "4"}}),
            "LOCAL_WORLD_SIZE is 4, must be between 1 and 2, the number of ranks");
}

}  // namespace
}  // namespace autodist::comm
