// Bring-up: from a model's name and a wish to ranks that hold their weights.
#ifndef AUTODIST_RUNTIME_LOADED_MODEL_H_
#define AUTODIST_RUNTIME_LOADED_MODEL_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/shard_cache.h"
#include "autodist/checkpoint/weight_reader.h"
#include "autodist/comm/launch.h"
#include "autodist/runtime/job.h"
#include "autodist/runtime/loaded_shard.h"
#include "autodist/runtime/run_options.h"
#include "autodist/spec/generation_defaults.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::runtime {

// What is known before any weight is read.
struct PlannedModel {
  std::filesystem::path directory;
  spec::TensorCatalog catalog;
  arch::ModelDescription model;
  spec::ParallelPlan plan;
};

// Reads config.json and the headers of the weights, and plans. `local_ranks`: ranks that share this
// host's memory; 0: all of the mesh. Throws core::Error.
PlannedModel PlanModel(const RunOptions& options, int local_ranks = 0);

// Throws core::Error (bad input) naming the flag, its value and the limit when a time or a number
// of threads is out of range, or dtype or weights are none that there are.
void CheckLimits(const RunOptions& options);

// How this process was started, as far as the options leave that to a launcher. Throws core::Error.
comm::LaunchInfo LaunchOf(const RunOptions& options);

// The plan, the ranks of this process, and their weights. Thread-compatible.
class LoadedModel {
 public:
  // Reads headers, plans, starts or joins the ranks, and loads each local rank's weights, from the
  // shard cache where it holds them. Throws core::Error; when processes of a launcher form the job,
  // all of them throw the same.
  explicit LoadedModel(const RunOptions& options);

  const std::filesystem::path& directory() const { return planned_.directory; }
  const spec::ModelConfig& config() const { return planned_.model.config; }
  const spec::GenerationDefaults& defaults() const { return defaults_; }
  // What was noticed about the checkpoint and this host.
  const std::vector<std::string>& remarks() const { return planned_.model.remarks; }
  const spec::ParallelPlan& plan() const { return planned_.plan; }
  Job& job() { return *job_; }
  const LoadReport& load_report() const { return load_report_; }
  // The weights of job().ranks()[i].
  const LoadedShard& shard(size_t i) const { return shards_[i]; }

 private:
  void StartJob(const comm::LaunchInfo& launch, int world_size, const RunOptions& options);
  void NoteSharedCores(int local_ranks);
  void Prepare(const RunOptions& options, const comm::LaunchInfo& launch);
  checkpoint::ShardKey CacheKey() const;
  void Load(const RunOptions& options);
  LoadedShard LoadRank(Rank& rank, const checkpoint::WeightReader& reader,
                       const checkpoint::ShardKey& key, bool rebuild_cache,
                       const std::function<void()>& on_blob);

  PlannedModel planned_;
  spec::GenerationDefaults defaults_;
  std::optional<checkpoint::ShardCache> cache_;  // absent: not wanted, or unusable
  std::unique_ptr<Job> job_;
  std::vector<LoadedShard> shards_;
  LoadReport load_report_;
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_LOADED_MODEL_H_
