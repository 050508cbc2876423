// From loaded weights and a plan to the decoder of one stage.
#ifndef AUTODIST_RUNTIME_DECODER_BUILDER_H_
#define AUTODIST_RUNTIME_DECODER_BUILDER_H_

#include <cstdint>
#include <memory>

#include "autodist/comm/communicator.h"
#include "autodist/model/decoder.h"
#include "autodist/runtime/loaded_shard.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::runtime {

// `config`, `shard` and `tp` must outlive the decoder. The head's logits are this rank's part of
// the vocabulary.
std::unique_ptr<model::Decoder> BuildDecoder(const spec::ModelConfig& config,
                                             const spec::ParallelPlan& plan, int rank,
                                             const LoadedShard& shard, comm::Communicator& tp);

// The tp group's parts of the logits side by side, on each of its ranks. Shapes: own [R, this
// rank's vocabulary], whole [R, vocab_size], f32. Collective over `tp`, on the last stage.
void GatherVocabulary(device::Stream& stream, comm::Communicator& tp,
                      const spec::ParallelPlan& plan, core::ConstTensorView own_RV,
                      core::TensorView whole_RV);

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_DECODER_BUILDER_H_
