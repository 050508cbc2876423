// The arithmetic of AllReduce and ReduceScatter: one definition, so that every backend gives the
// same bits.
#ifndef AUTODIST_COMM_REDUCE_H_
#define AUTODIST_COMM_REDUCE_H_

#include <cstdint>
#include <span>

#include "autodist/comm/communicator.h"
#include "autodist/core/dtype.h"

namespace autodist::comm {

// result[i] = op(sources[0][i], sources[1][i], ...) for i in [0, elements), left to right. f32,
// bf16 and f16 are accumulated in f32 and rounded once; integers wrap; a NaN wins a maximum.
// `result` may be any one of the sources. REQUIRES at least one source; all hold elements of
// `dtype`, and a CPU with AVX2 and F16C (the minimum of device/topology.h).
void ReduceInOrder(ReduceOp op, core::DType dtype, std::span<const void* const> sources,
                   int64_t elements, void* result);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_REDUCE_H_
