#include "autodist/parallel/vocab_parallel_embedding.h"

#include "autodist/core/check.h"
#include "autodist/kernels/embedding.h"

namespace autodist::parallel {

VocabParallelEmbedding::VocabParallelEmbedding(kernels::PackedWeight table, spec::Range range,
                                               comm::Communicator& tp)
    : table_(table), range_(range), tp_(tp) {
  AUTODIST_CHECK_EQ(table_.layout.n, range_.size());
}

void VocabParallelEmbedding::Forward(device::Stream& stream, std::span<const int32_t> ids_T,
                                     core::TensorView y_TE) {
  kernels::Embed(stream, ids_T, range_.first, table_, y_TE);
  if (tp_.size() > 1) tp_.AllReduce(y_TE).Wait();
}

}  // namespace autodist::parallel
