// Chooses the next token of each sequence when the vocabulary is cut over the ranks of a tp group.
#ifndef AUTODIST_INFER_DISTRIBUTED_SAMPLER_H_
#define AUTODIST_INFER_DISTRIBUTED_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/infer/sampler.h"
#include "autodist/infer/sampling_options.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::infer {

// Every rank of the group gets the same tokens, and they are the tokens that one rank holding the
// whole vocabulary would choose (sampler.h says which). No rank sees all logits; one all-gather of
// the batch carries, per row and rank,
//   greedy, or temperature alone:  16 bytes, the shard's best token,
//   top-k:                         the shard's k largest logits, 8 bytes each,
//   top-p or min-p without top-k:  the shard's 64 largest logits, for top-p also 496 bytes of exact
//   weight sums.
// Rows of the last kind whose 64 are not provably enough (a flat distribution) are repeated with
// four times as many until they are; the token does not depend on the count.
//
// Thread-compatible. Collective: all ranks of the group call Sample() with the same rows, in the
// same order.
class DistributedSampler {
 public:
  // vocab: the ids that this rank holds, clipped to the real vocabulary, may be empty. The ranks'
  // ranges are disjoint and cover [0, vocab_size), in any order. `tp_group` must outlive the
  // sampler.
  DistributedSampler(comm::Communicator& tp_group, spec::Range vocab, int64_t vocab_size);

  // The token of each row. Logits are processed in place (repetition penalty, excluded ids).
  // Shapes: logits_BV f32 [rows.size(), >= vocab.size()], row stride free; columns from
  // vocab.size() on are padding and not read. Throws core::Error (runtime), on every rank, when a
  // row has no largest finite logit.
  std::vector<int32_t> Sample(device::Stream& stream, core::TensorView logits_BV,
                              std::span<const SampleRow> rows);

 private:
  comm::Communicator& tp_group_;
  spec::Range vocab_;
  int64_t vocab_size_;
  std::vector<uint8_t> seen_;  // ProcessLogits' working memory
};

}  // namespace autodist::infer

namespace autodist {
using infer::DistributedSampler;
using infer::SampleRow;
using infer::SamplingOptions;
}  // namespace autodist

#endif  // AUTODIST_INFER_DISTRIBUTED_SAMPLER_H_
