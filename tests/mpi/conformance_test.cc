// The suite of communicators, run by `mpirun -n N`: over the memory of the host, and over MPI
// messages, which between hosts are all there is.
#include "autodist/comm/conformance.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "autodist/comm/launch.h"
#include "autodist/comm/mpi_communicator.h"

namespace autodist::comm {
namespace {

// MPI can be started once per process; all tests of the program share the session.
std::shared_ptr<MpiSession>& Session() {
  static std::shared_ptr<MpiSession> session;
  return session;
}

void RunOnHost(int ranks, const CommOptions& options, const RankBody& body) {
  auto comm = CreateMpiHostGroup(Session(), options);
  ASSERT_EQ(comm->size(), ranks);
  body(comm);
}

void RunWithMessages(int ranks, const CommOptions& options, const RankBody& body) {
  auto comm = CreateMpiMessageGroup(Session(), options);
  ASSERT_EQ(comm->size(), ranks);
  body(comm);
}

int Ranks() { return DetectLaunch(&std::getenv).world_size; }

INSTANTIATE_TEST_SUITE_P(Mpi, ConformanceTest,
                         testing::Values(Backend{"host", Ranks(), &RunOnHost},
                                         Backend{"messages", Ranks(), &RunWithMessages, false}),
                         BackendName);

}  // namespace
}  // namespace autodist::comm

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  autodist::comm::Session() = std::make_shared<autodist::comm::MpiSession>();
  const int result = RUN_ALL_TESTS();
  autodist::comm::Session() = nullptr;
  return result;
}
