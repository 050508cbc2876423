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

namespace {

// What the threads of a call share.
struct LinearCall {
  core::ConstTensorView x_MK;
  const PackedWeight& weight;
  core::TensorView y_MN;
  core::ConstTensorView bias_N;
  bool accumulate;

  // The part of some rows and blocks, but for x.
  cpu::LinearTask Part(int64_t first_row, int64_t rows, int64_t first_block, int64_t blocks) const {
    const PackedLayout& layout = weight.layout;
    const int64_t first_output = first_block * PackedLayout::kBlock;
    cpu::LinearTask task;
    task.x = nullptr;
    task.x_stride = 0;
    task.rows = rows;
    task.weight = static_cast<const uint8_t*>(weight.data) +
                  static_cast<size_t>(first_block) * layout.block_bytes();
    task.block_bytes = layout.block_bytes();
    task.k = layout.k;
    task.outputs = std::min(layout.n - first_output, blocks * PackedLayout::kBlock);
    task.y = y_MN.row<float>(first_row) + first_output;
    task.y_stride = y_MN.stride();
    task.bias = bias_N.elements() > 0 ? bias_N.row<float>(0) + first_output : nullptr;
    task.accumulate = accumulate;
    return task;
  }
};

// Calls run(first_row, rows, first_block, blocks, worker) on the threads. Blocks of N are split, so
// that each weight is read by one thread; rows only where that balances much better.
template <typename Body>
void Split(device::Stream& stream, int64_t rows, int64_t blocks, const Body& run) {
  const int threads = stream.pool().threads();
  const int64_t row_groups = (rows + kRowGroup - 1) / kRowGroup;
  if (Balance(row_groups, threads) > 1.2 * Balance(blocks, threads)) {
    stream.pool().ParallelFor(row_groups, [&](int64_t begin, int64_t end, int worker) {
      const int64_t first_row = begin * kRowGroup;
      run(first_row, std::min(rows, end * kRowGroup) - first_row, 0, blocks, worker);
    });
  } else {
    stream.pool().ParallelFor(blocks, [&](int64_t begin, int64_t end, int worker) {
      run(0, rows, begin, end - begin, worker);
    });
  }
}

// Rows of at most TiledRows::kMaxRows at a time: laid out in tiles by all threads, then multiplied.
void LinearTiled(device::Stream& stream, const cpu::KernelTable& table, const LinearCall& call) {
  using cpu::TiledRows;
  const int64_t all_rows = call.x_MK.rows();
  const int64_t chunks = (all_rows + TiledRows::kMaxRows - 1) / TiledRows::kMaxRows;
  const int64_t pairs = (all_rows + kRowGroup - 1) / kRowGroup;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t first = pairs * chunk / chunks * kRowGroup;
    const int64_t rows = std::min(all_rows, pairs * (chunk + 1) / chunks * kRowGroup) - first;
    const TiledRows shape{rows, call.weight.layout.k};
    void* const tiled = stream.SharedScratch(shape.bytes());
    stream.pool().ParallelFor(shape.groups(), [&](int64_t begin, int64_t end, int) {
      table.tile_rows(
          {call.x_MK.Rows(first, rows).data(), call.x_MK.stride(), shape, begin, end, tiled});
    });
    Split(stream, rows, call.weight.layout.blocks(),
          [&](int64_t first_row, int64_t count, int64_t block, int64_t blocks, int worker) {
            cpu::TiledLinearTask task{call.Part(first + first_row, count, block, blocks), shape,
                                      first_row};
            task.linear.x = tiled;
            table.linear_tiled(task, stream.Scratch(worker, cpu::TiledLinearScratchBytes(task)));
          });
  }
}

}  // namespace

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
  const LinearCall call{x_MK, weight, y_MN, bias_N, accumulate};
  const bool is_bf16 = layout.dtype == DType::kBF16;
  if (is_bf16 && table.linear_tiled != nullptr && x_MK.rows() > cpu::TiledRows::kRows)
    return LinearTiled(stream, table, call);
  const auto kernel = is_bf16 ? table.linear_bf16 : table.linear_f32;
  Split(stream, x_MK.rows(), layout.blocks(),
        [&](int64_t first_row, int64_t rows, int64_t block, int64_t blocks, int worker) {
          cpu::LinearTask task = call.Part(first_row, rows, block, blocks);
          task.x = x_MK.Rows(first_row, rows).data();
          task.x_stride = x_MK.stride();
          kernel(task, stream.Scratch(worker, cpu::LinearScratchBytes()));
        });
}

}  // namespace autodist::kernels
