#include "autodist/kernels/cpu/kernel_table.h"

#include "autodist/core/check.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels::cpu {

// The sums of a chunk, of the blocks that are multiplied together, and a slab of x in f32.
size_t LinearScratchBytes() {
  return static_cast<size_t>(kRowChunk * (kMostBlocks * PackedLayout::kBlock + kSlab)) *
         sizeof(float);
}

// Sums of 32 rows x half a block: when all inputs are one slab, of a block of gates and of two
// parts in turn; else of all.
size_t TiledLinearScratchBytes(const TiledRows& shape, int64_t rows, int64_t outputs) {
  constexpr size_t kPart = 32 * 32 * sizeof(float);
  if (shape.slabs() == 1) return static_cast<size_t>(2 * ((rows + 31) / 32) + 2) * kPart;
  return static_cast<size_t>((outputs + 31) / 32 * ((rows + 31) / 32)) * kPart;
}

// The sums of the rows, and x in f32.
size_t QuantisedScratchBytes(int64_t padded_k) {
  return static_cast<size_t>(kQuantisedRows * (PackedLayout::kBlock + padded_k)) * sizeof(float);
}

// Enough for either kernel. Tiles: scores of 32 rows, 256 keys and a gap each; two states; the
// queries; 256 keys and values, padded; where their steps lie. Vectors need less: scores of 32 rows
// and 64 keys, two states, the queries.
size_t AttentionScratchBytes(int64_t rows, int64_t head_dim) {
  const int64_t stride = AttentionRowStride(head_dim);
  const int64_t floats = 32 * 272 + 2 * AttentionStateFloats(rows, head_dim);
  return static_cast<size_t>(floats + (rows + 256 + 1) * stride) * sizeof(float);
}

const KernelTable& TableFor(device::Isa isa) {
  switch (isa) {
    case device::Isa::kAvx2:
      return Avx2Table();
    case device::Isa::kAvx512:
      return Avx512Table();
    case device::Isa::kAvx512Bf16:
      return Avx512Bf16Table();
    case device::Isa::kAmx:
      return AmxTable();
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Isa");
}

}  // namespace autodist::kernels::cpu
