#include "autodist/comm/process_communicator.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "autodist/comm/conformance.h"

namespace autodist::comm {
namespace {

std::string JobName() { return fmt::format("test of process {}", ::getpid()); }

// Forks one process per rank. This program has no threads of its own, so that forking is safe.
std::vector<pid_t> StartProcesses(int ranks, const std::function<void(int rank)>& body) {
  std::fflush(nullptr);
  std::vector<pid_t> processes;
  for (int rank = 0; rank < ranks; ++rank) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      body(rank);
      std::fflush(nullptr);
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    processes.push_back(pid);
  }
  return processes;
}

int ExitStatus(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

void RunProcesses(int ranks, const CommOptions& options, const RankBody& body) {
  const std::string job = JobName();
  const auto processes = StartProcesses(ranks, [&](int rank) {
    auto comm = CreateProcessGroup(job, rank, ranks, options, ParentRole::kLauncher);
    body(comm);
  });
  for (pid_t process : processes) EXPECT_EQ(ExitStatus(process), 0);
}

INSTANTIATE_TEST_SUITE_P(Processes, ConformanceTest,
                         testing::Values(Backend{"processes", 2, &RunProcesses}, Backend{"processes", 3, &RunProcesses},
                                         Backend{"processes", 8, &RunProcesses}),
                         BackendName);

}  // namespace
}  // namespace autodist::comm
