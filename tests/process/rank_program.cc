// A rank for the tests of this folder: meets the others as its launcher says, reports that it runs,
// and then keeps doing one thing until something ends it.
//   rank_program DIRECTORY BEHAVIOUR [TIMEOUT_S]
// DIRECTORY gets a file `<rank>` with the process id once all ranks have met, and `<rank>.turns`,
// which grows.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "autodist/comm/create.h"
#include "autodist/comm/launch.h"
#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist {
namespace {

using comm::Communicator;

void ReportRunning(const std::filesystem::path& directory, int rank) {
  const std::filesystem::path name = directory / std::to_string(rank);
  std::ofstream(name.string() + ".new") << ::getpid();
  std::filesystem::rename(name.string() + ".new", name);
}

void Communicate(Communicator& comm, const std::filesystem::path& directory) {
  std::ofstream turns(directory / (std::to_string(comm.rank()) + ".turns"));
  std::vector<float> data(70001);
  for (int64_t turn = 0;; ++turn) {
    comm.AllReduce({data.data(), 1, turn % 2 == 0 ? 100 : 70001}).Wait();
    turns << '.' << std::flush;
  }
}

void Compute() {
  while (true) std::atomic_signal_fence(std::memory_order_seq_cst);
}

void Behave(Communicator& comm, const std::filesystem::path& directory,
            const std::string& behaviour) {
  if (behaviour == "communicate") Communicate(comm, directory);
  if (behaviour == "compute") Compute();
  if (behaviour == "receive") {
    float value = 0;
    comm.Receive({&value, 1, 1}, (comm.rank() + 1) % comm.size()).Wait();
  }
  const bool last = comm.rank() == comm.size() - 1;
  if (behaviour == "exit early") last ? std::exit(0) : Compute();
  if (behaviour == "load") last ? Compute() : comm.Barrier(3600);
  if (behaviour == "fail")
    last ? throw core::BadInput("weights: broken") : Communicate(comm, directory);
  throw core::BadInput("behaviour '{}' is unknown", behaviour);
}

int Run(int argc, char** argv) {
  if (argc < 3) throw core::BadInput("usage: rank_program DIRECTORY BEHAVIOUR [TIMEOUT_S]");
  const comm::LaunchInfo launch = comm::DetectLaunch(&std::getenv);
  core::SetLogRank(launch.rank);
  comm::CommOptions options;
  if (argc > 3) options.collective_timeout_s = std::atof(argv[3]);
  const std::unique_ptr<Communicator> comm = comm::CreateCommunicator(launch, options);
  try {
    comm->Barrier();
    ReportRunning(argv[1], comm->rank());
    Behave(*comm, argv[1], argv[2]);
  } catch (const core::Error& error) {
    comm->Abort(error);
    if (comm->ClaimReport()) core::Log("error: {}", error.what());
    throw;
  }
  return 0;
}

}  // namespace
}  // namespace autodist

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // the launcher may be gone with the other end of stderr
  try {
    return autodist::Run(argc, argv);
  } catch (const autodist::core::Error& error) {
    return error.exit_code();
  }
}
