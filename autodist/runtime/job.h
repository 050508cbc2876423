// The ranks of a run that live in this process: all of them as threads, or one when a launcher
// started the others.
#ifndef AUTODIST_RUNTIME_JOB_H_
#define AUTODIST_RUNTIME_JOB_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/launch.h"
#include "autodist/core/error.h"
#include "autodist/device/op_log.h"
#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/runtime/run_options.h"

namespace autodist::runtime {

// What one rank works with. Lives as long as the job.
struct Rank {
  int index = 0;                              // in the world
  std::shared_ptr<comm::Communicator> world;  // shared with a RankError
  std::unique_ptr<device::ThreadPool> pool;
  // What this rank does; its stream's kernels are in it when JobOptions::record_ops says so.
  std::unique_ptr<device::OpLog> log;
  std::unique_ptr<device::Stream> stream;
};

// An error that every rank of the job ended with; one process prints it.
class RankError : public core::Error {
 public:
  // Asks `world` whether this process is the one that prints. This process stays in the job for as
  // long as the error, or a copy of it, exists: print it before that. Without `world`: not this
  // one.
  RankError(const core::Error& error, std::shared_ptr<comm::Communicator> world)
      : core::Error(error),
        world_(std::move(world)),
        report_(world_ != nullptr && world_->ClaimReport()) {}
  // `original` in other words.
  RankError(const core::Error& error, const RankError& original)
      : core::Error(error), world_(original.world_), report_(original.report_) {}
  bool report() const { return report_; }

 private:
  std::shared_ptr<comm::Communicator> world_;
  bool report_;
};

struct JobOptions {
  int world_size = 1;
  int threads_per_rank = 0;    // 0: usable cores / ranks of this host, at least 1
  bool deterministic = false;  // of the ranks' streams
  comm::CommOptions comm;
  OpRecording record_ops = OpRecording::kCommunication;
};

class Job {
 public:
  // Started by a launcher (launch.launcher != kNone): joins the other processes; this process is
  // one rank. Otherwise all ranks are threads of this process. Throws core::Error when the world
  // cannot be formed.
  Job(const comm::LaunchInfo& launch, const JobOptions& options);

  int world_size() const { return options_.world_size; }
  int threads_per_rank() const { return options_.threads_per_rank; }
  std::vector<Rank>& ranks() { return ranks_; }  // of this process, ascending
  bool holds_rank0() const { return ranks_.front().index == 0; }

  // Calls body(i) for each local rank ranks()[i], each on a thread of its own (the caller's when
  // there is one), and returns when all have returned. When one throws, the job is aborted so that
  // the others do not wait for it, and the error that came first is thrown as a RankError: the job
  // is then only good for destruction.
  void Run(const std::function<void(size_t)>& body);

  // What must be the same in all processes of the job, e.g. {"plan", text}.
  struct Shared {
    std::string_view label;
    std::string value;
  };
  // Collective over the processes. When any brings an error, or one of the shared values differs,
  // all throw the same RankError.
  void Agree(const std::optional<core::Error>& error, const std::vector<Shared>& shared);

 private:
  JobOptions options_;
  std::vector<Rank> ranks_;
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_JOB_H_
