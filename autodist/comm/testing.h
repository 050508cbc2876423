// Helpers for tests with ranks.
#ifndef AUTODIST_COMM_TESTING_H_
#define AUTODIST_COMM_TESTING_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/thread_communicator.h"
#include "autodist/core/error.h"

namespace autodist::comm {

// Runs `body` on every rank of a fresh job of threads. The body may destroy its communicator.
inline void RunOnThreads(int ranks, const CommOptions& options,
                         const std::function<void(std::unique_ptr<Communicator>&)>& body) {
  auto group = CreateThreadGroup(ranks, options);
  std::vector<std::thread> threads;
  for (auto& comm : group) threads.emplace_back([&] { body(comm); });
  for (std::thread& thread : threads) thread.join();
}

inline void RunOnThreads(int ranks, const std::function<void(Communicator&)>& body) {
  RunOnThreads(ranks, CommOptions(), [&](std::unique_ptr<Communicator>& comm) { body(*comm); });
}

// The error that `body` throws; fails the test when it throws none.
inline core::Error ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    return error;
  }
  ADD_FAILURE() << "no core::Error was thrown";
  return core::RuntimeFailure("none");
}

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_TESTING_H_
