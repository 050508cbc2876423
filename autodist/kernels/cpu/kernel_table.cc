#include "autodist/kernels/cpu/kernel_table.h"

#include "autodist/core/check.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels::cpu {

// The sums of a chunk, and a slab of x in f32.
size_t LinearScratchBytes() {
  return static_cast<size_t>(kRowChunk * (PackedLayout::kBlock + kSlab)) * sizeof(float);
}

// Sums of 32 rows x half a block: of a gate and its up when all inputs are one slab, else of all.
size_t TiledLinearScratchBytes(const TiledRows& shape, int64_t rows, int64_t outputs) {
  constexpr size_t kPart = 32 * 32 * sizeof(float);
  if (shape.slabs() == 1) return 2 * kPart;
  return static_cast<size_t>((outputs + 31) / 32 * ((rows + 31) / 32)) * kPart;
}

// Per row: the scaled query, the sums, 64 scores, maximum and denominator; each part starts on a
// whole vector.
size_t AttentionScratchBytes(int64_t rows, int64_t head_dim) {
  const int64_t row_stride = (head_dim + 15) / 16 * 16;
  return static_cast<size_t>(rows * (2 * row_stride + 64 + 2)) * sizeof(float);
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
