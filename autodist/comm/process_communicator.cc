#include "autodist/comm/process_communicator.h"

#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include "autodist/comm/group_member.h"
#include "autodist/comm/rendezvous.h"
#include "autodist/comm/shared_memory_communicator.h"
#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

// nohup: whoever says so wants the job to outlive the shell that started it.
bool HangupsAreIgnored() {
  struct sigaction action {};
  return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// How long a rank that leaves waits for the one that prints the job's error.
constexpr std::chrono::milliseconds kTimeToReport{500};

// What a rank process has beside its JobRank, and what ends in this order: the watchdog, then what
// it guarded.
struct Attachment {
  Attachment(std::shared_ptr<JobMemory> job_memory, int own_rank, OnLeave leave)
      : memory(std::move(job_memory)), rank(own_rank), on_leave(std::move(leave)) {}
  ~Attachment() {
    LetReport();
    watchdog = nullptr;
    if (on_leave) on_leave(memory->aborted());
  }

  // A launcher that ends the job with the first rank that fails would else take the message away.
  void LetReport() const {
    const auto end = std::chrono::steady_clock::now() + kTimeToReport;
    const int reporter = memory->reporter();
    if (reporter < 0 || reporter == rank) return;
    while (!memory->left(reporter) && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  const std::shared_ptr<JobMemory> memory;
  const int rank;
  const OnLeave on_leave;
  std::unique_ptr<Watchdog> watchdog;
};

}  // namespace

std::unique_ptr<Communicator> CreateProcessGroup(const std::string& job, int rank, int ranks,
                                                 const CommOptions& options, ParentRole role,
                                                 ParentWatch parent, OnLeave on_leave) {
  HostJob host = MeetOnHost(job, rank, ranks, options, [&] {
    if (role == ParentRole::kLauncher && parent.lost()) {
      throw core::PeerLost("the launcher (process {}) died", parent.parent());
    }
  });
  const bool watch_parent =
      role == ParentRole::kLauncher || (host.common_parent && ranks > 1 && !HangupsAreIgnored());
  auto member = std::make_shared<JobRank>(host.memory, rank, options);
  auto attachment = std::make_shared<Attachment>(host.memory, rank, std::move(on_leave));
  attachment->watchdog = std::make_unique<Watchdog>(host.memory, rank, rank, std::move(host.links),
                                                    parent, watch_parent);
  member->attachment = std::move(attachment);
  return SharedMemoryCommunicator::World(std::move(member));
}

}  // namespace autodist::comm
