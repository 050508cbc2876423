#include "autodist/kernels/elementwise.h"

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {

using core::DType;

void Add(device::Stream& stream, core::ConstTensorView x_TD, core::TensorView y_TD) {
  CheckRows(x_TD, y_TD);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("add", y_TD.rows(), static_cast<double>(y_TD.elements()), {x_TD, y_TD, y_TD});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, x_TD, [&](int64_t row) {
    table.add(x_TD.row<float>(row), y_TD.row<float>(row), x_TD.cols());
  });
}

void AddBias(device::Stream& stream, core::ConstTensorView bias_D, core::TensorView y_TD) {
  AUTODIST_CHECK_EQ(bias_D.rows(), 1);
  AUTODIST_CHECK_EQ(bias_D.cols(), y_TD.cols());
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("add_bias", y_TD.rows(), static_cast<double>(y_TD.elements()),
                    {bias_D, y_TD, y_TD});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, y_TD, [&](int64_t row) {
    table.add(bias_D.row<float>(0), y_TD.row<float>(row), y_TD.cols());
  });
}

void Convert(device::Stream& stream, core::ConstTensorView x_TD, core::TensorView y_TD) {
  const auto is_float = [](DType dtype) {
    return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
  };
  AUTODIST_CHECK(is_float(x_TD.dtype()) && is_float(y_TD.dtype()));
  AUTODIST_CHECK(x_TD.dtype() == y_TD.dtype() || x_TD.dtype() == DType::kF32 ||
                 y_TD.dtype() == DType::kF32);
  AUTODIST_CHECK_EQ(x_TD.rows(), y_TD.rows());
  AUTODIST_CHECK_EQ(x_TD.cols(), y_TD.cols());
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("convert", y_TD.rows(), 0, {x_TD, y_TD});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, x_TD, [&](int64_t row) {
    table.convert(x_TD.dtype(), x_TD.Rows(row, 1).data(), y_TD.dtype(), y_TD.Rows(row, 1).data(),
                  x_TD.cols());
  });
}

}  // namespace autodist::kernels
