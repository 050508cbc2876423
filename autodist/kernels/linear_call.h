// What the doors of matmul.h hand to the parts behind them.
#ifndef AUTODIST_KERNELS_LINEAR_CALL_H_
#define AUTODIST_KERNELS_LINEAR_CALL_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/weight_panel.h"

namespace autodist::kernels {

// A checked call of Linear(), as its threads share it.
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

// The gates [first_output, + outputs) of some rows of a call of LinearGated(), but for x.
inline cpu::GatedTask GatedShare(const LinearCall& call, ActivationKind kind, core::TensorView y_MF,
                                 int64_t first_row, int64_t rows, int64_t first_output,
                                 int64_t outputs) {
  cpu::GatedTask task;
  task.linear = call.Part(first_row, rows, 0, call.weight.layout.blocks());
  task.linear.outputs = outputs;
  task.first_output = first_output;
  task.up_outputs = y_MF.cols();
  task.kind = kind;
  task.dtype = y_MF.dtype();
  task.y = static_cast<uint8_t*>(y_MF.Rows(first_row, rows).data()) +
           static_cast<size_t>(first_output) * core::SizeOf(y_MF.dtype());
  task.y_stride = y_MF.stride();
  return task;
}

// Products of fewer rows are matrix-vector products: reading the weight is what counts.
inline constexpr int64_t kMatrixVectorRows = 8;

// Calls run(begin, end, worker) for `turns` parts of [0, pieces), each on whichever thread is free:
// a thread that loses its core for a while is not waited for.
template <typename Body>
void HandOut(device::Stream& stream, int64_t pieces, int64_t turns, const Body& run) {
  std::atomic<int64_t> next{0};
  stream.pool().Run([&](int worker) {
    for (int64_t turn = next.fetch_add(1); turn < turns; turn = next.fetch_add(1))
      run(pieces * turn / turns, pieces * (turn + 1) / turns, worker);
  });
}

// Calls run(begin, end, worker) for the pieces, of piece_bytes each, of the weight of a
// matrix-vector product. Kernels read up to `at_once` pieces together: turns have as many.
template <typename Body>
void SplitMatrixVector(device::Stream& stream, int64_t pieces, size_t piece_bytes, int64_t at_once,
                       const Body& run) {
  constexpr int64_t kTurnBytes = 512 * 1024;
  constexpr int64_t kFewest = 4;  // turns of each thread: so little is the last one's share
  const int64_t threads = stream.pool().threads();
  const int64_t turns = std::min((pieces + at_once - 1) / at_once,
                                 pieces * static_cast<int64_t>(piece_bytes) / kTurnBytes);
  if (threads == 1 || turns < kFewest * threads) return stream.pool().ParallelFor(pieces, run);
  HandOut(stream, pieces, turns, run);
}

// Calls run(first_row, rows, first_piece, pieces, worker) on the threads, where the pieces divide
// N. They are split, so that each weight is read by one thread; rows, in groups of 32 for the
// register and tile blocks, only where that balances much better.
template <typename Body>
void SplitManyRows(device::Stream& stream, int64_t rows, int64_t pieces, const Body& run) {
  constexpr int64_t kRowGroup = 32;
  const int threads = stream.pool().threads();
  const int64_t row_groups = (rows + kRowGroup - 1) / kRowGroup;
  // How much of the threads' time is used when the busiest decides.
  const auto balance = [&](int64_t count) {
    const int64_t most = (count + threads - 1) / threads;
    return static_cast<double>(count) / static_cast<double>(most * threads);
  };
  if (balance(row_groups) > 1.2 * balance(pieces)) {
    stream.pool().ParallelFor(row_groups, [&](int64_t begin, int64_t end, int worker) {
      const int64_t first_row = begin * kRowGroup;
      run(first_row, std::min(rows, end * kRowGroup) - first_row, 0, pieces, worker);
    });
  } else {
    stream.pool().ParallelFor(pieces, [&](int64_t begin, int64_t end, int worker) {
      run(0, rows, begin, end - begin, worker);
    });
  }
}

// The same for any number of rows; piece_bytes and at_once as in SplitMatrixVector().
template <typename Body>
void SplitLinear(device::Stream& stream, int64_t rows, int64_t pieces, size_t piece_bytes,
                 int64_t at_once, const Body& run) {
  if (rows >= kMatrixVectorRows) return SplitManyRows(stream, rows, pieces, run);
  SplitMatrixVector(
      stream, pieces, piece_bytes, at_once,
      [&](int64_t begin, int64_t end, int worker) { run(0, rows, begin, end - begin, worker); });
}

// The same for rows that are laid out in tiles. Each thread keeps the rows in its cache, so that
// the pieces may be handed out a few at a time. Rows of several slabs change places in the cache
// with every few pieces; there each thread has one share.
template <typename Body>
void SplitTiled(device::Stream& stream, const cpu::TiledRows& shape, int64_t rows, int64_t pieces,
                const Body& run) {
  constexpr int64_t kTurns = 4;  // of each thread
  constexpr int64_t kFewest = 4;
  const int64_t turns = kTurns * stream.pool().threads();
  if (shape.slabs() > 1 || stream.pool().threads() == 1 || pieces < kFewest * turns)
    return SplitManyRows(stream, rows, pieces, run);
  HandOut(stream, pieces, turns, [&](int64_t begin, int64_t end, int worker) {
    run(0, rows, begin, end - begin, worker);
  });
}

// Calls kernel(task, scratch) with a worker's share of the weight, or with one panel of it after
// the other if it has to be dequantised. scratch_bytes(task) is what the kernel needs.
template <typename ScratchBytes, typename Kernel>
void RunOnWeight(device::Stream& stream, const LinearCall& call, const cpu::LinearTask& share,
                 int worker, const ScratchBytes& scratch_bytes, const Kernel& kernel) {
  const PackedLayout& layout = call.weight.layout;
  if (!layout.quantised()) return kernel(share, stream.Scratch(worker, scratch_bytes(share)));
  const WeightPanel panel(layout, call.x_MK.dtype());
  cpu::LinearTask largest = share;
  largest.outputs = std::min(share.outputs, panel.blocks() * PackedLayout::kBlock);
  const size_t kernel_bytes = (scratch_bytes(largest) + 63) / 64 * 64;
  auto* const scratch = static_cast<uint8_t*>(stream.Scratch(worker, kernel_bytes + panel.bytes()));
  for (int64_t block = 0; block * PackedLayout::kBlock < share.outputs; block += panel.blocks())
    kernel(panel.Fill(stream.isa(), share, block, scratch + kernel_bytes), scratch);
}

// Whether the CPU multiplies the call on matrix tiles, with rows laid out first (cpu::TiledRows).
bool IsTiled(device::Stream& stream, const LinearCall& call);
// REQUIRES IsTiled().
void LinearTiled(device::Stream& stream, const LinearCall& call);

// LinearGated() of such a call; of the call, y_MN is not used. REQUIRES IsTiled(), gates in
// multiples of half a block.
void LinearTiledGated(device::Stream& stream, const LinearCall& call, ActivationKind kind,
                      core::TensorView y_MF);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_LINEAR_CALL_H_
