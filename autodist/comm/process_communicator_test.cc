#include "autodist/comm/process_communicator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "autodist/comm/conformance.h"
#include "autodist/comm/rendezvous.h"
#include "autodist/comm/testing.h"
#include "autodist/core/testing/child_process.h"
#include "autodist/core/unique_fd.h"

namespace autodist::comm {
namespace {

std::string JobName() { return fmt::format("test of process {}", ::getpid()); }

// Forks one process per rank. This program has no threads of its own, so that forking is safe.
std::vector<pid_t> StartProcesses(int ranks, const std::function<void(int rank)>& body) {
  std::vector<pid_t> processes;
  for (int rank = 0; rank < ranks; ++rank)
    processes.push_back(core::testing::StartChild([&] {
      body(rank);
      return testing::Test::HasFailure() ? 1 : 0;
    }));
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
                         testing::Values(Backend{"processes", 2, &RunProcesses},
                                         Backend{"processes", 3, &RunProcesses},
                                         Backend{"processes", 8, &RunProcesses}),
                         BackendName);

// A process that starts as `rank` of `ranks` is refused.
void ExpectRefusal(int rank, int ranks, double timeout_s, const std::string& job,
                   const core::Error& expected) {
  const core::Error error = ErrorOf([&] {
    CreateProcessGroup(job, rank, ranks, {.collective_timeout_s = timeout_s},
                       ParentRole::kLauncher);
  });
  EXPECT_EQ(error.kind(), expected.kind());
  EXPECT_STREQ(error.what(), expected.what());
}

TEST(RendezvousTest, RanksThatDisagreeOnTheirNumberAreAllRefused) {
  const std::string job = JobName();
  const auto expected = core::BadInput("rank 0 was started for 2 ranks, rank 1 for 3 ({})", job);
  const auto processes = StartProcesses(
      3, [&](int rank) { ExpectRefusal(std::min(rank, 1), rank == 0 ? 2 : 3, 60, job, expected); });
  EXPECT_EQ(ExitStatus(processes[0]), 0);
  EXPECT_EQ(ExitStatus(processes[1]), 0);
  EXPECT_EQ(ExitStatus(processes[2]), 0);
}

TEST(RendezvousTest, ARankGivenTwiceIsRefusedEverywhere) {
  const std::string job = JobName();
  const auto expected =
      core::BadInput("rank 1 was started twice, or two jobs have the same {}", job);
  const auto processes =
      StartProcesses(3, [&](int rank) { ExpectRefusal(std::min(rank, 1), 3, 60, job, expected); });
  for (pid_t process : processes) EXPECT_EQ(ExitStatus(process), 0);
}

TEST(RendezvousTest, RankZeroGivenTwiceIsRefusedEverywhere) {
  const std::string job = JobName();
  const auto expected =
      core::BadInput("rank 0 was started twice, or two jobs have the same {}", job);
  const auto processes = StartProcesses(
      3, [&](int rank) { ExpectRefusal(std::max(0, rank - 1), 3, 60, job, expected); });
  for (pid_t process : processes) EXPECT_EQ(ExitStatus(process), 0);
}

TEST(RendezvousTest, RanksThatDoNotComeAreNamed) {
  const std::string job = JobName();
  const auto without_some = StartProcesses(2, [&](int rank) {
    ExpectRefusal(2 * rank, 4, 0.5, job,
                  core::PeerLost("ranks 1, 3 did not appear within 0.5 s ({})", job));
  });
  for (pid_t process : without_some) EXPECT_EQ(ExitStatus(process), 0);
  const auto without_host = StartProcesses(1, [&](int) {
    ExpectRefusal(1, 2, 0.1, job, core::PeerLost("rank 0 did not appear within 0.1 s ({})", job));
  });
  EXPECT_EQ(ExitStatus(without_host[0]), 0);
}

// Whoever knocks without knowing the protocol is dropped, and the job comes to be.
TEST(RendezvousTest, StrangersAreDropped) {
  const std::string job = JobName();
  const auto run = [&](int rank) {
    CreateProcessGroup(job, rank, 2, {.collective_timeout_s = 60}, ParentRole::kLauncher)
        ->Barrier();
  };
  const auto host = StartProcesses(1, run);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = RendezvousName(job);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  std::vector<core::UniqueFd> strangers;
  for (const std::string& words :
       {std::string(), std::string("GET / HTTP/1.1\r\n\r\n"), std::string(40, '\xff')}) {
    strangers.emplace_back(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    while (::connect(strangers.back().get(), reinterpret_cast<const sockaddr*>(&address), length) !=
           0)
      ::usleep(1000);
    if (!words.empty()) {
      EXPECT_GT(::send(strangers.back().get(), words.data(), words.size(), MSG_NOSIGNAL), 0);
    }
  }
  const auto guest = StartProcesses(1, [&](int) { run(1); });
  EXPECT_EQ(ExitStatus(host[0]), 0);
  EXPECT_EQ(ExitStatus(guest[0]), 0);
}

// Two jobs of one user at the same time do not see each other.
TEST(RendezvousTest, JobsWithDifferentNamesLiveSideBySide) {
  const std::string job = JobName();
  const auto processes = StartProcesses(4, [&](int process) {
    const auto comm = CreateProcessGroup(job + std::to_string(process % 2), process / 2, 2, {},
                                         ParentRole::kLauncher);
    int32_t parity = process % 2;
    comm->AllReduce({&parity, 1, 1}).Wait();
    EXPECT_EQ(parity, 2 * (process % 2));
  });
  for (pid_t process : processes) EXPECT_EQ(ExitStatus(process), 0);
}

}  // namespace
}  // namespace autodist::comm
