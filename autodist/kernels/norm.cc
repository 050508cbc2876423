#include "autodist/kernels/norm.h"

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {

using core::DType;

void RmsNorm(device::Stream& stream, core::ConstTensorView x_TD, core::ConstTensorView weight_D,
             float epsilon, core::TensorView y_TD) {
  CheckRows(x_TD, y_TD);
  const int64_t width = weight_D.cols();
  AUTODIST_CHECK(weight_D.dtype() == DType::kF32 && weight_D.rows() == 1 && width > 0);
  AUTODIST_CHECK_EQ(x_TD.cols() % width, 0);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("rms_norm", x_TD.rows(), 4.0 * static_cast<double>(x_TD.elements()),
                    {x_TD, y_TD, weight_D});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const auto* const weight = weight_D.row<float>(0);
  ForEachRow(stream, x_TD, [&](int64_t row) {
    for (int64_t at = 0; at < x_TD.cols(); at += width) {
      table.rms_norm(x_TD.row<float>(row) + at, weight, epsilon, y_TD.dtype(),
                     ElementOf(y_TD, row, at), width);
    }
  });
}

void LayerNorm(device::Stream& stream, core::ConstTensorView x_TD, core::ConstTensorView weight_D,
               core::ConstTensorView bias_D, float epsilon, core::TensorView y_TD) {
  CheckRows(x_TD, y_TD);
  const bool has_bias = bias_D.elements() > 0;
  AUTODIST_CHECK(weight_D.dtype() == DType::kF32 && weight_D.rows() == 1 &&
                 weight_D.cols() == x_TD.cols());
  AUTODIST_CHECK(!has_bias || (bias_D.dtype() == DType::kF32 && bias_D.rows() == 1 &&
                               bias_D.cols() == x_TD.cols()));
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("layer_norm", x_TD.rows(), 8.0 * static_cast<double>(x_TD.elements()),
                    {x_TD, y_TD, weight_D, bias_D});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, x_TD, [&](int64_t row) {
    table.layer_norm(x_TD.row<float>(row), weight_D.row<float>(0),
                     has_bias ? bias_D.row<float>(0) : nullptr, epsilon, y_TD.dtype(),
                     ElementOf(y_TD, row, 0), x_TD.cols());
  });
}

}  // namespace autodist::kernels
