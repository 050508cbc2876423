// Activation functions of feed-forward layers.
#ifndef AUTODIST_KERNELS_ACTIVATION_H_
#define AUTODIST_KERNELS_ACTIVATION_H_

#include <cstdint>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

enum class ActivationKind : uint8_t {
  kSilu,       // x * sigmoid(x)
  kGelu,       // x / 2 * (1 + erf(x / sqrt 2))
  kGeluTanh,   // x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  kRelu,       // max(x, 0)
  kQuickGelu,  // x * sigmoid(1.702 x)
};

// y = act(x). Shapes: x, y [T, D], row strides free. Dtypes: x f32; y f32 or bf16. y may be x.
void Activate(device::Stream& stream, ActivationKind kind, core::ConstTensorView x_TD,
              core::TensorView y_TD);

// y = act(gate) * up. Shapes and dtypes as above; y may be gate or up.
void ActivateGated(device::Stream& stream, ActivationKind kind, core::ConstTensorView gate_TD,
                   core::ConstTensorView up_TD, core::TensorView y_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_ACTIVATION_H_
