// Runs one rank's part of forward calls: walks the stage's schedule, moves residuals between
// stages.
#ifndef AUTODIST_RUNTIME_PIPELINE_EXECUTOR_H_
#define AUTODIST_RUNTIME_PIPELINE_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <span>

#include "autodist/comm/communicator.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/model/decoder.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::runtime {

// What this rank computes of one micro-batch.
struct StageCall {
  model::DecoderRows rows;
  const model::KvView* kv = nullptr;
  std::span<const int64_t> logit_rows;  // whose logits the last stage computes; ascending
  core::TensorView logits;  // [logit_rows.size(), local vocabulary] f32; used on the last stage
};

// The residual travels whole, in f32, from each rank to the one with the same tp index in the next
// stage. Sends are buffered, so a stage runs ahead of the next one.
class PipelineExecutor {
 public:
  // All must outlive it. `world` has the plan's ranks.
  PipelineExecutor(const spec::ParallelPlan& plan, int rank, int64_t hidden_size,
                   comm::Communicator& world, device::Stream& stream, model::Decoder& decoder);

  // Runs `calls` micro-batches in order; prepare(i) gives the i-th just before it is computed, and
  // its spans must stay valid until prepare(i + 1) or the return. Throws core::Error when a peer is
  // lost.
  void Run(int calls, const std::function<StageCall(int)>& prepare);

 private:
  core::TensorView Residual(int64_t rows);

  const spec::ParallelPlan& plan_;
  const int rank_;
  const int64_t hidden_size_;
  comm::Communicator& world_;
  device::Stream& stream_;
  model::Decoder& decoder_;
  device::Buffer residual_;
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_PIPELINE_EXECUTOR_H_
