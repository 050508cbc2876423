#include "autodist/kernels/activation.h"

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {

void Activate(device::Stream& stream, ActivationKind kind, core::ConstTensorView x_TD,
              core::TensorView y_TD) {
  CheckRows(x_TD, y_TD);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("activate", y_TD.rows(), 4.0 * static_cast<double>(y_TD.elements()),
                    {x_TD, y_TD});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, x_TD, [&](int64_t row) {
    table.activate(kind, x_TD.row<float>(row), nullptr, y_TD.dtype(), ElementOf(y_TD, row, 0),
                   x_TD.cols());
  });
}

void ActivateGated(device::Stream& stream, ActivationKind kind, core::ConstTensorView gate_TD,
                   core::ConstTensorView up_TD, core::TensorView y_TD) {
  CheckRows(gate_TD, y_TD);
  CheckRows(up_TD, y_TD);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("activate_gated", y_TD.rows(), 5.0 * static_cast<double>(y_TD.elements()),
                    {gate_TD, up_TD, y_TD});
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachRow(stream, gate_TD, [&](int64_t row) {
    table.activate(kind, gate_TD.row<float>(row), up_TD.row<float>(row), y_TD.dtype(),
                   ElementOf(y_TD, row, 0), gate_TD.cols());
  });
}

}  // namespace autodist::kernels
