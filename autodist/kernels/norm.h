// Normalisation over the last dim.
#ifndef AUTODIST_KERNELS_NORM_H_
#define AUTODIST_KERNELS_NORM_H_

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// y = x / sqrt(mean(x^2) + epsilon) * weight.
// Shapes: x, y [T, G * D]; weight [1, D]. Each group of D columns is normed by itself: G = 1 for
// the residual, the number of heads for the norms of q and k. T may be 0; row strides are free.
// Dtypes: x, weight f32; y f32 or bf16; sums in f32. y may be x.
void RmsNorm(device::Stream& stream, core::ConstTensorView x_TD, core::ConstTensorView weight_D,
             float epsilon, core::TensorView y_TD);

// y = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias; the variance is that of the
// whole population. Shapes and dtypes as above with G = 1; bias [1, D], or empty for none.
void LayerNorm(device::Stream& stream, core::ConstTensorView x_TD, core::ConstTensorView weight_D,
               core::ConstTensorView bias_D, float epsilon, core::TensorView y_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_NORM_H_
