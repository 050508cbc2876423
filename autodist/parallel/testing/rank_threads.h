// Tests only: runs a body once per rank, each on a thread of its own with a communicator and a
// stream.
#ifndef AUTODIST_PARALLEL_TESTING_RANK_THREADS_H_
#define AUTODIST_PARALLEL_TESTING_RANK_THREADS_H_

#include <functional>
#include <thread>
#include <vector>

#include "autodist/comm/thread_communicator.h"
#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/device/topology.h"

namespace autodist::parallel::testing {

inline void RunRanks(int ranks,
                     const std::function<void(comm::Communicator&, device::Stream&)>& body) {
  auto group = comm::CreateThreadGroup(ranks);
  std::vector<std::thread> threads;
  for (auto& communicator : group) {
    threads.emplace_back([&body, &communicator] {
      device::ThreadPool pool(1);
      device::Stream stream(pool, device::DetectIsa());
      body(*communicator, stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace autodist::parallel::testing

#endif  // AUTODIST_PARALLEL_TESTING_RANK_THREADS_H_
