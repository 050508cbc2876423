#include "autodist/kernels/matmul.h"

#include <algorithm>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"

namespace autodist::kernels {
namespace {

using core::DType;

constexpr int64_t kRowGroup = 32;  // rows that a task should have, for the register and tile blocks

// Products of fewer rows are logged as matrix-vector products.
constexpr int64_t kMatrixVectorRows = 8;

// How many of `pieces` equal pieces the busiest of `threads` gets, as a fraction of perfect
// balance.
double Balance(int64_t pieces, int64_t threads) {
  const int64_t most = (pieces + threads - 1) / threads;
  return static_cast<double>(pieces) / static_cast<double>(most * threads);
}

}  // namespace

PackedLayout::PackedLayout(DType weight_dtype, int64_t outputs, int64_t inputs)
    : dtype(weight_dtype), n(outputs), k(inputs) {
  AUTODIST_CHECK(dtype == DType::kF32 || dtype == DType::kBF16);
  AUTODIST_CHECK(n >= 0 && k >= 0);
}

int64_t PackedLayout::Index(int64_t output, int64_t input) const {
  const int64_t block = output / kBlock * kBlock * padded_k();
  if (dtype == DType::kF32) return block + input * kBlock + output % kBlock;
  return block + input / 2 * (2 * kBlock) + output % kBlock * 2 + input % 2;
}

void Linear(device::Stream& stream, core::ConstTensorView x_MK, const PackedWeight& weight,
            core::TensorView y_MN, core::ConstTensorView bias_N, bool accumulate) {
  const PackedLayout& layout = weight.layout;
  const bool has_bias = bias_N.elements() > 0;
  AUTODIST_CHECK(x_MK.dtype() == layout.dtype && y_MN.dtype() == DType::kF32);
  AUTODIST_CHECK_EQ(x_MK.cols(), layout.k);
  AUTODIST_CHECK_EQ(y_MN.cols(), layout.n);
  AUTODIST_CHECK_EQ(x_MK.rows(), y_MN.rows());
  AUTODIST_CHECK(!has_bias || (bias_N.dtype() == DType::kF32 && bias_N.rows() == 1 &&
                               bias_N.cols() == layout.n));
  if (y_MN.elements() == 0) return;
  const device::OpScope op(stream.log(), [&] {
    const bool few_rows = x_MK.rows() < kMatrixVectorRows;
    return device::OpCost{
        .kind = few_rows ? device::OpKind::kMatrixVector : device::OpKind::kGemm,
        .name = "linear",
        .rows = x_MK.rows(),
        .bytes =
            layout.bytes() + x_MK.bytes() + bias_N.bytes() + y_MN.bytes() * (accumulate ? 2 : 1),
        .flops = 2.0 * static_cast<double>(y_MN.elements()) * static_cast<double>(layout.k)};
  });

  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const auto kernel = layout.dtype == DType::kF32 ? table.linear_f32 : table.linear_bf16;
  const auto run = [&](int64_t first_row, int64_t rows, int64_t first_block, int64_t blocks,
                       int worker) {
    const int64_t first_output = first_block * PackedLayout::kBlock;
    cpu::LinearTask task;
    task.x = x_MK.Rows(first_row, rows).data();
    task.x_stride = x_MK.stride();
    task.rows = rows;
    task.weight = static_cast<const uint8_t*>(weight.data) +
                  static_cast<size_t>(first_block) * layout.block_bytes();
    task.block_bytes = layout.block_bytes();
    task.k = layout.k;
    task.outputs = std::min(layout.n - first_output, blocks * PackedLayout::kBlock);
    task.y = y_MN.row<float>(first_row) + first_output;
    task.y_stride = y_MN.stride();
    task.bias = has_bias ? bias_N.row<float>(0) + first_output : nullptr;
    task.accumulate = accumulate;
    kernel(task, stream.Scratch(worker, cpu::LinearScratchBytes()));
  };

  // Blocks of N are split, so that each weight is read by one thread; rows only where that balances
  // much better.
  const int threads = stream.pool().threads();
  const int64_t row_groups = (x_MK.rows() + kRowGroup - 1) / kRowGroup;
  if (Balance(row_groups, threads) > 1.2 * Balance(layout.blocks(), threads)) {
    stream.pool().ParallelFor(row_groups, [&](int64_t begin, int64_t end, int worker) {
      const int64_t first_row = begin * kRowGroup;
      run(first_row, std::min(x_MK.rows(), end * kRowGroup) - first_row, 0, layout.blocks(),
          worker);
    });
  } else {
    stream.pool().ParallelFor(layout.blocks(), [&](int64_t begin, int64_t end, int worker) {
      run(0, x_MK.rows(), begin, end - begin, worker);
    });
  }
}

}  // namespace autodist::kernels
