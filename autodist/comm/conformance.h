// The suite that every communicator backend passes: it is the contract of communicator.h as tests.
// What calls compute is in conformance_results.cc, how they fail in conformance_failures.cc; the
// test program of a backend is made of both and of one source that instantiates the suite:
//   INSTANTIATE_TEST_SUITE_P(Threads, ConformanceTest, testing::Values(Backend{"threads", 2,
//   &RunThreads}, ...), BackendName);
#ifndef AUTODIST_COMM_CONFORMANCE_H_
#define AUTODIST_COMM_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "autodist/comm/communicator.h"

namespace autodist::comm {

// What one rank does. It may destroy its communicator.
using RankBody = std::function<void(std::unique_ptr<Communicator>& comm)>;

struct Backend {
  std::string name;
  int ranks = 0;
  // Runs the body on every rank of a fresh job; a failed expectation of any rank is a failure of
  // the test.
  std::function<void(int ranks, const CommOptions& options, const RankBody& body)> run;
  // False where Abort() ends the processes instead of waking their waits (MPI between hosts).
  bool wakes_on_abort = true;
};

inline void PrintTo(const Backend& backend, std::ostream* out) {
  *out << backend.name << backend.ranks;
}

inline std::string BackendName(const testing::TestParamInfo<Backend>& info) {
  return info.param.name + std::to_string(info.param.ranks);
}

class ConformanceTest : public testing::TestWithParam<Backend> {
 protected:
  int ranks() const { return GetParam().ranks; }
  void Run(const std::function<void(Communicator&)>& body) const {
    GetParam().run(ranks(), CommOptions(),
                   [&](std::unique_ptr<Communicator>& comm) { body(*comm); });
  }
  void RunWithTimeout(double seconds, const RankBody& body) const {
    GetParam().run(ranks(), CommOptions{.collective_timeout_s = seconds}, body);
  }
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CONFORMANCE_H_
