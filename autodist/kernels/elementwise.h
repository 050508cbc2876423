// Element by element. Row strides are free; shapes of x and y are equal.
#ifndef AUTODIST_KERNELS_ELEMENTWISE_H_
#define AUTODIST_KERNELS_ELEMENTWISE_H_

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// y += x, f32.
void Add(device::Stream& stream, core::ConstTensorView x_TD, core::TensorView y_TD);

// Each row of y += bias, f32. Shapes: bias [1, D], y [T, D].
void AddBias(device::Stream& stream, core::ConstTensorView bias_D, core::TensorView y_TD);

// y = x between f32, bf16 and f16 (one of the two is f32, or both are the same), rounding to
// nearest even.
void Convert(device::Stream& stream, core::ConstTensorView x_TD, core::TensorView y_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_ELEMENTWISE_H_
