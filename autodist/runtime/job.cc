#include "autodist/runtime/job.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "autodist/comm/agreement.h"
#include "autodist/comm/create.h"
#include "autodist/comm/thread_communicator.h"
#include "autodist/core/error.h"
#include "autodist/core/log.h"
#include "autodist/device/topology.h"

namespace autodist::runtime {
namespace {

// The error as one that may cross ranks; a failed allocation is the environment's fault, not a bug.
core::Error ErrorOf(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const core::Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return core::RuntimeFailure("out of memory");
  } catch (const std::exception& error) {
    return core::RuntimeFailure("{}", error.what());
  }
}

std::unique_ptr<comm::Communicator> JoinWorld(const comm::LaunchInfo& launch,
                                              const comm::CommOptions& options) {
  try {
    return comm::CreateCommunicator(launch, options);
  } catch (const comm::ToldByRank0& told) {
    throw RankError(told, nullptr);
  }
}

}  // namespace

Job::Job(const comm::LaunchInfo& launch, const JobOptions& options) : options_(options) {
  const bool alone = launch.launcher == comm::Launcher::kNone;
  if (options_.threads_per_rank == 0) {
    const int local_ranks = alone ? options.world_size : launch.local_world_size;
    options_.threads_per_rank = std::max(1, device::UsableCores() / local_ranks);
  }
  if (alone) {
    auto group = comm::CreateThreadGroup(options.world_size, options.comm);
    for (int r = 0; r < options.world_size; ++r)
      ranks_.push_back({.index = r,
                        .world = std::move(group[static_cast<size_t>(r)]),
                        .pool = {},
                        .log = {},
                        .stream = {}});
  } else {
    ranks_.push_back({.index = launch.rank,
                      .world = JoinWorld(launch, options.comm),
                      .pool = {},
                      .log = {},
                      .stream = {}});
  }
  const device::Isa isa = device::DetectIsa();
  for (Rank& rank : ranks_) {
    core::SetLogRank(rank.index);  // the pool's threads inherit it
    rank.pool = std::make_unique<device::ThreadPool>(options_.threads_per_rank);
    rank.log = std::make_unique<device::OpLog>(options.record_ops == OpRecording::kEvents);
    rank.stream = std::make_unique<device::Stream>(*rank.pool, isa, options.deterministic);
    if (options.record_ops != OpRecording::kCommunication) rank.stream->set_log(rank.log.get());
  }
  core::SetLogRank(alone ? -1 : launch.rank);
}

void Job::Run(const std::function<void(size_t)>& body) {
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&](size_t i) {
    try {
      body(i);
    } catch (...) {
      const std::exception_ptr error = std::current_exception();
      {
        const std::lock_guard lock(mutex);
        if (first == nullptr) first = error;
      }
      ranks_[i].world->Abort(ErrorOf(error));
    }
  };
  if (ranks_.size() == 1) {
    run(0);
  } else {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < ranks_.size(); ++i) {
      threads.emplace_back([&, i] {
        core::SetLogRank(ranks_[i].index);
        run(i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  if (first != nullptr) throw RankError(ErrorOf(first), ranks_.front().world);
}

void Job::Agree(const std::optional<core::Error>& error, const std::vector<Shared>& shared) {
  if (ranks_.size() > 1 || world_size() == 1) {  // one process: one opinion
    if (error) throw *error;
    return;
  }
  Rank& rank = ranks_.front();
  try {
    comm::AgreeOnError(*rank.world, error);
    for (const Shared& fact : shared) comm::CheckSame(*rank.world, fact.label, fact.value);
  } catch (const core::Error& agreed) {
    throw RankError(agreed, rank.world);
  }
}

}  // namespace autodist::runtime
