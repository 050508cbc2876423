// Linear() on AMX tiles. Included after gemm-inl.h and tile_shapes-inl.h, in their target region.
// Narrow tiles take 64 outputs: a block is read straight forward. Wide ones take half a block.

constexpr int64_t kTileSlab =
    1024;  // inputs per pass: x and half a block stay in the second-level cache

constexpr int64_t kSumBytes = PackedLayout::kBlock * sizeof(float);
constexpr int64_t kPairBytes =
    PackedLayout::kBlock * 2 * sizeof(core::BFloat16);  // one pair of inputs of a block
constexpr int64_t kStepElements = kTileInputs * PackedLayout::kBlock;
constexpr int64_t kAheadBytes = 8192;  // two steps: with few rows the weights come from memory

// One slab of inputs of one block, and the rows to multiply with it.
struct TileSlab {
  const core::BFloat16* x;  // row 0, first input of the slab
  int64_t x_bytes;          // from row to row
  const core::BFloat16*
      tail;  // [rows, 32]: the inputs that fill no tile, zero padded; nullptr when there are none
  const core::BFloat16* block;
  int64_t steps;  // of 32 inputs, the tail not counted
  float* sums;    // [rows, 64]
  bool first;     // there are no sums yet
};

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

// 32 inputs of up to 32 rows for 32 outputs.
inline void WideStep(const void* upper, const void* lower, int64_t x_bytes,
                     const core::BFloat16* b) {
  _tile_loadd(6, b, kPairBytes);
  _tile_loadd(4, upper, x_bytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, b + 32, kPairBytes);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(5, lower, x_bytes);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

inline void MultiplyNarrow(const TileSlab& slab, int64_t row) {
  float* const sums = slab.sums + row * PackedLayout::kBlock;
  if (slab.first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, kSumBytes);
    _tile_loadd(1, sums + 16, kSumBytes);
    _tile_loadd(2, sums + 32, kSumBytes);
    _tile_loadd(3, sums + 48, kSumBytes);
  }
  const auto* const x = reinterpret_cast<const uint8_t*>(slab.x) + row * slab.x_bytes;
  for (int64_t step = 0; step < slab.steps; ++step) {
    NarrowStep(x + step * 64, slab.x_bytes, slab.block + step * kStepElements);
  }
  if (slab.tail != nullptr) {
    NarrowStep(slab.tail + row * kTileInputs, 64, slab.block + slab.steps * kStepElements);
  }
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + 16, kSumBytes);
  _tile_stored(2, sums + 32, kSumBytes);
  _tile_stored(3, sums + 48, kSumBytes);
}

// For outputs [half, half + 32) of the block.
inline void MultiplyWide(const TileSlab& slab, int64_t row, int64_t half) {
  float* const upper = slab.sums + row * PackedLayout::kBlock + half;
  float* const lower = upper + kTileRows * PackedLayout::kBlock;
  if (slab.first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, upper, kSumBytes);
    _tile_loadd(1, upper + 16, kSumBytes);
    _tile_loadd(2, lower, kSumBytes);
    _tile_loadd(3, lower + 16, kSumBytes);
  }
  const auto* const x = reinterpret_cast<const uint8_t*>(slab.x) + row * slab.x_bytes;
  const core::BFloat16* const b = slab.block + half * 2;
  for (int64_t step = 0; step < slab.steps; ++step) {
    const uint8_t* const here = x + step * 64;
    WideStep(here, here + kTileRows * slab.x_bytes, slab.x_bytes, b + step * kStepElements);
  }
  if (slab.tail != nullptr) {
    const core::BFloat16* const here = slab.tail + row * kTileInputs;
    WideStep(here, here + kTileRows * kTileInputs, 64, b + slab.steps * kStepElements);
  }
  _tile_stored(0, upper, kSumBytes);
  _tile_stored(1, upper + 16, kSumBytes);
  _tile_stored(2, lower, kSumBytes);
  _tile_stored(3, lower + 16, kSumBytes);
}

// All rows of a chunk. Half a block stays in the cache for all of them.
inline void MultiplySlab(const TileSlab& slab, int64_t rows, TileShapes& shapes) {
  const int64_t left = rows % 32;
  const int64_t wide_rows = left > kTileRows ? rows : rows - left;
  for (int64_t half = 0; half < PackedLayout::kBlock; half += 32) {
    for (int64_t row = 0; row < wide_rows; row += 32) {
      shapes.Set(rows - row < 32 ? rows - row : 32);
      MultiplyWide(slab, row, half);
    }
  }
  if (wide_rows < rows) {
    shapes.Set(left);
    MultiplyNarrow(slab, wide_rows);
  }
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
  auto* const tail = reinterpret_cast<core::BFloat16*>(sums + kRowChunk * kBlock);
  const bool has_tail = task.k % kTileInputs != 0;
  TileShapes shapes;
  for (int64_t first_output = 0; first_output < task.outputs; first_output += kBlock) {
    const auto* const block = reinterpret_cast<const core::BFloat16*>(
        static_cast<const uint8_t*>(task.weight) +
        static_cast<size_t>(first_output / kBlock) * task.block_bytes);
    for (int64_t first_row = 0; first_row < task.rows; first_row += kRowChunk) {
      const int64_t rows = task.rows - first_row < kRowChunk ? task.rows - first_row : kRowChunk;
      const auto* const x = static_cast<const core::BFloat16*>(task.x) + first_row * task.x_stride;
      if (has_tail) CopyTail(x, task.x_stride, rows, task.k, tail);
      for (int64_t k = 0; k < task.k; k += kTileSlab) {
        const int64_t inputs = task.k - k < kTileSlab ? task.k - k : kTileSlab;
        const bool last = k + inputs == task.k;
        MultiplySlab({x + k, task.x_stride * 2, last && has_tail ? tail : nullptr,
                      block + k * kBlock, inputs / kTileInputs, sums, k == 0},
                     rows, shapes);
      }
      FinishBlock(task, first_row, rows, first_output, sums);
    }
  }
}
