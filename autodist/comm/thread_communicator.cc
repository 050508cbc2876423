#include "autodist/comm/thread_communicator.h"

#include "autodist/comm/job_memory.h"
#include "autodist/comm/shared_memory_communicator.h"

namespace autodist::comm {

std::vector<std::unique_ptr<Communicator>> CreateThreadGroup(int ranks,
                                                             const CommOptions& options) {
  CheckRanksPerHost(ranks);
  const std::shared_ptr<JobMemory> memory = JobMemory::CreateForThreads(ranks);
  std::vector<std::unique_ptr<Communicator>> group;
  for (int rank = 0; rank < ranks; ++rank) {
    group.push_back(
        SharedMemoryCommunicator::World(std::make_shared<JobRank>(memory, rank, options)));
  }
  return group;
}

}  // namespace autodist::comm
