#include "autodist/comm/process_communicator.h"

#include <csignal>
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

}  // namespace

std::unique_ptr<Communicator> CreateProcessGroup(const std::string& job, int rank, int ranks,
                                                 const CommOptions& options, ParentRole role, ParentWatch parent) {
  HostJob host = MeetOnHost(job, rank, ranks, options, [&] {
    if (role == ParentRole::kLauncher && parent.lost()) {
      throw core::PeerLost("the launcher (process {}) died", parent.parent());
    }
  });
  const bool watch_parent =
      role == ParentRole::kLauncher || (host.common_parent && ranks > 1 && !HangupsAreIgnored());
  auto member = std::make_shared<JobRank>(host.memory, rank, options);
  member->attachment = std::make_shared<Watchdog>(host.memory, rank, std::move(host.links), parent, watch_parent);
  return SharedMemoryCommunicator::World(std::move(member));
}

}  // namespace autodist::comm
