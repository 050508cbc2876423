#include <algorithm>

#include "autodist/core/check.h"
#include "autodist/kernels/linear_call.h"

namespace autodist::kernels {
namespace {

using core::DType;
using cpu::TiledRows;

constexpr int64_t kPair = 2 * TiledRows::kRows;  // rows that are multiplied together
constexpr int64_t kHalf = PackedLayout::kBlock / 2;

// Rows of at most TiledRows::MaxRows() at a time: laid out in tiles by all threads, then given to
// multiply(shape, tiled, first row, rows).
template <typename Body>
void ForEachChunk(device::Stream& stream, const LinearCall& call, const Body& multiply) {
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const int64_t all_rows = call.x_MK.rows();
  const int64_t k = call.weight.layout.k;
  const int64_t chunks = (all_rows + TiledRows::MaxRows(k) - 1) / TiledRows::MaxRows(k);
  const int64_t pairs = (all_rows + kPair - 1) / kPair;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t first = pairs * chunk / chunks * kPair;
    const int64_t rows = std::min(all_rows, pairs * (chunk + 1) / chunks * kPair) - first;
    const TiledRows shape{rows, k};
    void* const tiled = stream.SharedScratch(shape.bytes());
    const core::ConstTensorView x = call.x_MK.Rows(first, rows);
    stream.pool().ParallelFor(shape.groups(), [&](int64_t begin, int64_t end, int) {
      table.tile_rows({x.data(), x.stride(), shape, begin, end, tiled});
    });
    multiply(shape, tiled, first, rows);
  }
}

}  // namespace

bool IsTiled(device::Stream& stream, const LinearCall& call) {
  return call.x_MK.dtype() == DType::kBF16 && call.x_MK.rows() > TiledRows::kFewRows &&
         cpu::TableFor(stream.isa()).linear_tiled != nullptr;
}

void LinearTiled(device::Stream& stream, const LinearCall& call) {
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachChunk(stream, call, [&](const TiledRows& shape, void* tiled, int64_t first, int64_t rows) {
    SplitTiled(stream, shape, rows, call.weight.layout.blocks(),
               [&](int64_t row, int64_t count, int64_t block, int64_t blocks, int worker) {
                 cpu::LinearTask task = call.Part(first + row, count, block, blocks);
                 task.x = tiled;
                 RunOnWeight(
                     stream, call, task, worker,
                     [&](const cpu::LinearTask& part) {
                       return cpu::TiledLinearScratchBytes(shape, count, part.outputs);
                     },
                     [&](const cpu::LinearTask& part, void* scratch) {
                       table.linear_tiled({part, shape, row}, scratch);
                     });
               });
  });
}

void LinearTiledGated(device::Stream& stream, const LinearCall& call, ActivationKind kind,
                      core::TensorView y_MF) {
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  ForEachChunk(stream, call, [&](const TiledRows& shape, void* tiled, int64_t first, int64_t rows) {
    SplitTiled(stream, shape, rows, y_MF.cols() / kHalf,
               [&](int64_t row, int64_t count, int64_t half, int64_t halves, int worker) {
                 cpu::TiledGatedTask task{
                     GatedShare(call, kind, y_MF, first + row, count, half * kHalf, halves * kHalf),
                     shape, row};
                 task.gated.linear.x = tiled;
                 table.linear_tiled_gated(
                     task, stream.Scratch(worker, cpu::TiledLinearScratchBytes(
                                                      shape, count, 2 * halves * kHalf)));
               });
  });
}

}  // namespace autodist::kernels
