// Linear() on AMX tiles for a group of at most 16 rows: 64 outputs at a time, so that a block is
// read straight forward. Included after gemm-inl.h and tile_shapes-inl.h, in their target region.

constexpr int64_t kSumBytes = PackedLayout::kBlock * sizeof(float);
constexpr int64_t kPairBytes =
    PackedLayout::kBlock * 2 * sizeof(core::BFloat16);  // one pair of inputs of a block
constexpr int64_t kStepElements = kTileInputs * PackedLayout::kBlock;
constexpr int64_t kAheadBytes = 8192;  // two steps: with few rows the weights come from memory

// 32 inputs of up to 16 rows for 64 outputs.
inline void NarrowStep(const void* x, int64_t x_bytes, const core::BFloat16* b) {
#pragma GCC unroll 64
  for (int64_t line = 0; line < kStepElements * 2; line += 64) {
    __builtin_prefetch(reinterpret_cast<const uint8_t*>(b) + kAheadBytes + line);
  }
  _tile_loadd(4, x, x_bytes);
  _tile_loadd(5, b, kPairBytes);
  _tile_dpbf16ps(0, 4, 5);
  _tile_loadd(6, b + 32, kPairBytes);
  _tile_dpbf16ps(1, 4, 6);
  _tile_loadd(7, b + 64, kPairBytes);
  _tile_dpbf16ps(2, 4, 7);
  _tile_loadd(5, b + 96, kPairBytes);
  _tile_dpbf16ps(3, 4, 5);
}

// sums [rows, 64] = x * block. `tail` [rows, 32] holds the inputs that fill no tile, zero padded;
// nullptr when there are none.
inline void MultiplyNarrow(const core::BFloat16* x, int64_t x_bytes, int64_t steps,
                           const core::BFloat16* tail, const core::BFloat16* block, float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t step = 0; step < steps; ++step) {
    NarrowStep(x + step * kTileInputs, x_bytes, block + step * kStepElements);
  }
  if (tail != nullptr) NarrowStep(tail, 64, block + steps * kStepElements);
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + 16, kSumBytes);
  _tile_stored(2, sums + 32, kSumBytes);
  _tile_stored(3, sums + 48, kSumBytes);
}

// Copies the inputs after the last whole tile of each row, zero padded, to [rows, 32].
inline void CopyTail(const core::BFloat16* x, int64_t x_stride, int64_t rows, int64_t k,
                     core::BFloat16* tail) {
  const int64_t inputs = k % kTileInputs;
  for (int64_t row = 0; row < rows; ++row) {
    __builtin_memset(tail + row * kTileInputs, 0, 64);
    __builtin_memcpy(tail + row * kTileInputs, x + row * x_stride + k - inputs,
                     static_cast<size_t>(inputs) * sizeof(core::BFloat16));
  }
  __asm__ volatile(""
                   :
                   : "r"(tail)
                   : "memory");  // g++'s tile loads do not say that they read memory
}

inline void LinearTiles(const LinearTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const sums = static_cast<float*>(scratch);
  auto* const tail = reinterpret_cast<core::BFloat16*>(sums + kTileRows * kBlock);
  const bool has_tail = task.k % kTileInputs != 0;
  TileShapes shapes;
  for (int64_t first_row = 0; first_row < task.rows; first_row += kTileRows) {
    const int64_t rows = task.rows - first_row < kTileRows ? task.rows - first_row : kTileRows;
    const auto* const x = static_cast<const core::BFloat16*>(task.x) + first_row * task.x_stride;
    shapes.Set(rows);
    if (has_tail) CopyTail(x, task.x_stride, rows, task.k, tail);
    for (int64_t first_output = 0; first_output < task.outputs; first_output += kBlock) {
      const auto* const block = reinterpret_cast<const core::BFloat16*>(
          static_cast<const uint8_t*>(task.weight) +
          static_cast<size_t>(first_output / kBlock) * task.block_bytes);
      MultiplyNarrow(x, task.x_stride * 2, task.k / kTileInputs, has_tail ? tail : nullptr, block,
                     sums);
      FinishBlock(task, first_row, rows, first_output, sums);
    }
  }
}
