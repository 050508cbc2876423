// What a sampler needs of a row of logits: its largest values, and the denominator of its softmax.
#ifndef AUTODIST_KERNELS_SAMPLING_H_
#define AUTODIST_KERNELS_SAMPLING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

struct ValueIndex {
  float value = 0;
  int64_t index = 0;
};

// The largest value of each row and where it stands; of equal ones the smallest index. NaN counts
// as -infinity. Shapes: x [T, V] f32, V >= 1, row stride free; best[T].
void Argmax(device::Stream& stream, core::ConstTensorView x_TV, std::span<ValueIndex> best_T);

// The min(count, V) largest values of one row in descending order; equal values by ascending index.
// NaN counts as -infinity. Shapes: x [1, V] f32.
std::vector<ValueIndex> TopK(device::Stream& stream, core::ConstTensorView x_V, int64_t count);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_SAMPLING_H_
