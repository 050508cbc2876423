// One rank of a run: its weights, its part of the model, and the loop that generates.
//
// Every rank runs the same loop over the same schedule; what differs is which part of a call it
// computes. Tokens are chosen on the last stage, by all its tp ranks alike, and travel to the
// earlier stages in one small message per turn.
#ifndef AUTODIST_INFER_RANK_RUNNER_H_
#define AUTODIST_INFER_RANK_RUNNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "autodist/comm/traced_communicator.h"
#include "autodist/infer/batch_scheduler.h"
#include "autodist/infer/distributed_sampler.h"
#include "autodist/infer/kv_cache.h"
#include "autodist/infer/model_runner.h"
#include "autodist/runtime/job.h"
#include "autodist/runtime/loaded_shard.h"
#include "autodist/runtime/pipeline_executor.h"

namespace autodist::infer {

// Thread-compatible: the rank's thread of the moment. `config`, `plan`, `rank` and `shard` must
// outlive it.
class RankRunner {
 public:
  // Collective: splits the tp group off the world.
  RankRunner(const spec::ModelConfig& config, const spec::ParallelPlan& plan, runtime::Rank& rank,
             const runtime::LoadedShard& shard);

  // Collective. The request is valid (ModelRunner checked it); eos_ids and the context length are
  // in `rules`.
  GenerateResult Generate(const GenerateRequest& request, const StopRules& rules);

  // Collective. `sink` is called on rank 0.
  void Logits(const std::vector<int32_t>& ids,
              const std::function<void(int64_t first_row, core::ConstTensorView rows)>& sink);

 private:
  friend class GenerationLoop;

  bool last_stage() const { return plan_.mesh.StageOf(rank_.index) + 1 == plan_.mesh.pp; }
  int tp_index() const { return plan_.mesh.TpIndex(rank_.index); }
  // With room for so many sequences, of the plan's batch at most, and no page in use. One cache
  // serves request after request, and only grows: memory that was written before takes keys and
  // values faster than what the system has yet to clear. Invalidates what the call before returned.
  KvCache& EmptyCache(int64_t sequences, int64_t max_tokens);
  std::vector<device::OpTotals> GatherTotals();

  const spec::ModelConfig& config_;
  const spec::ParallelPlan& plan_;
  runtime::Rank& rank_;
  std::unique_ptr<comm::Communicator> world_;  // a group over all ranks, traced
  std::unique_ptr<comm::Communicator> tp_;
  std::unique_ptr<model::Decoder> decoder_;
  runtime::PipelineExecutor executor_;
  DistributedSampler sampler_;
  std::optional<KvCache> cache_;  // of the largest request so far
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_RANK_RUNNER_H_
