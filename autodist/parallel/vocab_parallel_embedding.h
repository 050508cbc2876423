// An embedding table whose rows are split over the ranks of a tp group.
#ifndef AUTODIST_PARALLEL_VOCAB_PARALLEL_EMBEDDING_H_
#define AUTODIST_PARALLEL_VOCAB_PARALLEL_EMBEDDING_H_

#include <cstdint>
#include <span>

#include "autodist/comm/communicator.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::parallel {

// Each rank looks up the ids in its range; the sum over ranks is the embedding. The table is packed
// as a head is, so that a tied one is stored once. `tp` and the table's memory must outlive it.
class VocabParallelEmbedding {
 public:
  // REQUIRES table.layout.n == range.size().
  VocabParallelEmbedding(kernels::PackedWeight table, spec::Range range, comm::Communicator& tp);

  // y[t] = table[ids[t]]. Shapes: ids [T], y [T, width()] f32, contiguous. REQUIRES ids inside the
  // vocabulary. All ranks of the group call it with the same ids.
  void Forward(device::Stream& stream, std::span<const int32_t> ids_T, core::TensorView y_TE);

  int64_t width() const { return table_.layout.k; }

 private:
  kernels::PackedWeight table_;
  spec::Range range_;
  comm::Communicator& tp_;
};

}  // namespace autodist::parallel

#endif  // AUTODIST_PARALLEL_VOCAB_PARALLEL_EMBEDDING_H_
