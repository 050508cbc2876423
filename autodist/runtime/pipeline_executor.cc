#include "autodist/runtime/pipeline_executor.h"

#include "autodist/core/check.h"
#include "autodist/spec/pipeline_schedule.h"

namespace autodist::runtime {

PipelineExecutor::PipelineExecutor(const spec::ParallelPlan& plan, int rank, int64_t hidden_size,
                                   comm::Communicator& world, device::Stream& stream,
                                   model::Decoder& decoder)
    : plan_(plan),
      rank_(rank),
      hidden_size_(hidden_size),
      world_(world),
      stream_(stream),
      decoder_(decoder) {
  AUTODIST_CHECK_EQ(world.size(), plan.mesh.world());
}

core::TensorView PipelineExecutor::Residual(int64_t rows) {
  const size_t bytes = static_cast<size_t>(rows * hidden_size_) * sizeof(float);
  if (residual_.bytes() < bytes) residual_ = device::Buffer(bytes);
  return {residual_.as<float>(), rows, hidden_size_};
}

void PipelineExecutor::Run(int calls, const std::function<StageCall(int)>& prepare) {
  const int stage = plan_.mesh.StageOf(rank_);
  const int stride =
      plan_.mesh.tp * plan_.mesh.dp;  // between a rank and its neighbours in the pipeline
  StageCall call;
  core::TensorView x_TD;
  int prepared = -1;
  for (const spec::Action& action : spec::ForwardSchedule(stage, plan_.mesh.pp, calls)) {
    if (action.micro_batch != prepared) {
      prepared = action.micro_batch;
      call = prepare(prepared);
      x_TD = Residual(static_cast<int64_t>(call.rows.positions.size()));
    }
    switch (action.kind) {
      case spec::ActionKind::kReceive:
        world_.Receive(x_TD, rank_ - stride).Wait();
        break;
      case spec::ActionKind::kForward:
        if (decoder_.first()) decoder_.Embed(stream_, call.rows, x_TD);
        x_TD = decoder_.Layers(stream_, call.rows, *call.kv, call.logit_rows, x_TD);
        if (decoder_.last() && !call.logit_rows.empty())
          decoder_.Logits(stream_, x_TD, call.logits);
        break;
      case spec::ActionKind::kSend:
        world_.Send(x_TD, rank_ + stride).Wait();
        break;
    }
  }
}

}  // namespace autodist::runtime
