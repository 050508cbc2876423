// What the doors of row-wise kernels share. Private to kernels/.
#ifndef AUTODIST_KERNELS_ROWS_H_
#define AUTODIST_KERNELS_ROWS_H_

#include <cstdint>
#include <initializer_list>

#include "autodist/core/check.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/op_log.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// x is f32, y f32 or bf16, and both have the same shape.
inline void CheckRows(core::ConstTensorView x, core::ConstTensorView y) {
  AUTODIST_CHECK(x.dtype() == core::DType::kF32);
  AUTODIST_CHECK(y.dtype() == core::DType::kF32 || y.dtype() == core::DType::kBF16);
  AUTODIST_CHECK_EQ(x.rows(), y.rows());
  AUTODIST_CHECK_EQ(x.cols(), y.cols());
}

// Of a kernel that reads and writes every element of `operands` once.
inline device::OpCost RowsCost(const char* name, int64_t rows, double flops,
                               std::initializer_list<core::ConstTensorView> operands,
                               device::OpKind kind = device::OpKind::kRows) {
  device::OpCost cost{.kind = kind, .name = name, .rows = rows, .flops = flops};
  for (const core::ConstTensorView& operand : operands) cost.bytes += operand.bytes();
  return cost;
}

inline void* ElementOf(core::TensorView view, int64_t row, int64_t col) {
  return view.Rows(row, 1).Cols(col, 0).data();
}

// Elements from which on more than one thread is worth it: about what one does while another wakes
// up.
inline constexpr int64_t kWorthwhile = 8192;

// body(row) for each row of x, split over the threads when there is enough to do for all.
template <typename Body>
void ForEachRow(device::Stream& stream, core::ConstTensorView x, const Body& body) {
  if (x.elements() == 0) return;
  const auto run = [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) body(row);
  };
  if (x.elements() < kWorthwhile) return run(0, x.rows(), 0);
  stream.pool().ParallelFor(x.rows(), run);
}

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_ROWS_H_
