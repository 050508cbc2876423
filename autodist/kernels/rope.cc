#include "autodist/kernels/rope.h"

#include <cmath>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {

RopeTable MakeRopeTable(std::span<const float> inverse_frequency, float attention_factor,
                        int64_t positions) {
  AUTODIST_CHECK_GE(positions, 0);
  const size_t pairs = inverse_frequency.size();
  RopeTable table{positions, static_cast<int64_t>(2 * pairs), {}, {}};
  table.cos.resize(static_cast<size_t>(positions) * pairs);
  table.sin.resize(table.cos.size());
  size_t at = 0;
  for (int64_t position = 0; position < positions; ++position) {
    for (const float frequency : inverse_frequency) {
      const double angle = static_cast<float>(position) * frequency;
      table.cos[at] = static_cast<float>(std::cos(angle)) * attention_factor;
      table.sin[at] = static_cast<float>(std::sin(angle)) * attention_factor;
      ++at;
    }
  }
  return table;
}

void Rope(device::Stream& stream, std::span<const int32_t> position_T, const RopeTable& table,
          int64_t head_dim, core::TensorView x_TD) {
  AUTODIST_CHECK(x_TD.dtype() == core::DType::kF32);
  AUTODIST_CHECK_EQ(static_cast<int64_t>(position_T.size()), x_TD.rows());
  AUTODIST_CHECK_LE(table.rotary_dim, head_dim);
  AUTODIST_CHECK(head_dim > 0 && x_TD.cols() % head_dim == 0);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("rope", x_TD.rows(), 3.0 * static_cast<double>(x_TD.elements()), {x_TD, x_TD});
  });
  const cpu::KernelTable& kernels = cpu::TableFor(stream.isa());
  const int64_t pairs = table.rotary_dim / 2;
  ForEachRow(stream, x_TD, [&](int64_t row) {
    const int64_t position = position_T[static_cast<size_t>(row)];
    AUTODIST_CHECK(position >= 0 && position < table.positions);
    for (int64_t at = 0; at < x_TD.cols(); at += head_dim) {
      kernels.rope(table.cos.data() + position * pairs, table.sin.data() + position * pairs, pairs,
                   x_TD.row<float>(row) + at);
    }
  });
}

}  // namespace autodist::kernels
