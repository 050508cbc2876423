// Linear() on AMX tiles. Included after gemm-inl.h, in its target region.
//
// A tile is 16 rows of 64 bytes. Tiles 0 to 3 hold 32 x 32 sums, 4 and 5 two times 16 rows of x (32
// inputs each), 6 and 7 two times 16 outputs of a packed block (16 pairs of inputs).

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileInputs = 32;
constexpr int64_t kTileSlab =
    1024;  // inputs per pass: x and half a block stay in the second-level cache

// Gives the tiles the shapes for `rows` <= 32 rows of x. Palette 1 is the only one there is.
inline void ConfigureTiles(int64_t rows) {
  struct alignas(64) Configuration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t column_bytes[16] = {};
    uint8_t rows[16] = {};
  } configuration;
  const auto upper = static_cast<uint8_t>(rows < kTileRows ? rows : kTileRows);
  const auto lower = static_cast<uint8_t>(rows - upper);
  const uint8_t tile_rows[8] = {upper, upper, lower, lower, upper, lower, kTileRows, kTileRows};
  for (int tile = 0; tile < 8; ++tile) {
    configuration.rows[tile] = tile_rows[tile];
    configuration.column_bytes[tile] = tile_rows[tile] == 0 ? 0 : 64;
  }
  // g++'s intrinsic names only the first bytes as its input: keep the stores above before it.
  __asm__ volatile("" : : "r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
}

// What LinearTiles hands down for one chunk of rows and one slab.
struct TileSlab {
  const core::BFloat16* x;  // row 0, first input of the slab
  int64_t x_bytes;          // from row to row
  const core::BFloat16*
      tail;  // [rows, 32] the last inputs, zero padded; nullptr when a multiple of 32 remains
  const core::BFloat16* block;
  int64_t steps;  // of 32 inputs, the tail not counted
  float* sums;    // [rows, 64]
  bool first;     // no sums yet
};

constexpr int64_t kSumBytes = PackedLayout::kBlock * sizeof(float);
constexpr int64_t kBlockRowBytes = PackedLayout::kBlock * 2 * sizeof(core::BFloat16);

// One step of 32 inputs for 32 outputs; kTwo: 17 to 32 rows, else up to 16.
template <bool kTwo>
inline void TileStep(const void* x, const void* x_lower, int64_t x_bytes, const core::BFloat16* b) {
  _tile_loadd(6, b, kBlockRowBytes);
  _tile_loadd(7, b + 32, kBlockRowBytes);
  _tile_loadd(4, x, x_bytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (kTwo) {
    _tile_loadd(5, x_lower, x_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// Rows [row, row + 32) against outputs [half, half + 32) of the block.
template <bool kTwo>
inline void MultiplyTiles(const TileSlab& slab, int64_t row, int64_t half) {
  float* const sums = slab.sums + row * PackedLayout::kBlock + half;
  float* const lower_sums = sums + kTileRows * PackedLayout::kBlock;
  if (slab.first) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTwo) {
      _tile_zero(2);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kSumBytes);
    _tile_loadd(1, sums + 16, kSumBytes);
    if constexpr (kTwo) {
      _tile_loadd(2, lower_sums, kSumBytes);
      _tile_loadd(3, lower_sums + 16, kSumBytes);
    }
  }
  const auto* const x = reinterpret_cast<const uint8_t*>(slab.x) + row * slab.x_bytes;
  const core::BFloat16* const b = slab.block + half * 2;
  constexpr int64_t kStepElements = kTileInputs * PackedLayout::kBlock;
  for (int64_t step = 0; step < slab.steps; ++step) {
    const uint8_t* const here = x + step * 64;
    TileStep<kTwo>(here, here + kTileRows * slab.x_bytes, slab.x_bytes, b + step * kStepElements);
  }
  if (slab.tail != nullptr) {
    const core::BFloat16* const here = slab.tail + row * kTileInputs;
    TileStep<kTwo>(here, here + kTileRows * kTileInputs, 64, b + slab.steps * kStepElements);
  }
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + 16, kSumBytes);
  if constexpr (kTwo) {
    _tile_stored(2, lower_sums, kSumBytes);
    _tile_stored(3, lower_sums + 16, kSumBytes);
  }
}

// All rows of a chunk; REQUIRES tiles configured for 32 rows, and leaves them so.
inline void MultiplySlab(const TileSlab& slab, int64_t rows) {
  const int64_t whole = rows / 32 * 32;
  for (int64_t half = 0; half < PackedLayout::kBlock; half += 32) {
    for (int64_t row = 0; row < whole; row += 32) MultiplyTiles<true>(slab, row, half);
  }
  if (whole == rows) return;
  ConfigureTiles(rows - whole);
  for (int64_t half = 0; half < PackedLayout::kBlock; half += 32) {
    if (rows - whole > kTileRows) {
      MultiplyTiles<true>(slab, whole, half);
    } else {
      MultiplyTiles<false>(slab, whole, half);
    }
  }
  ConfigureTiles(32);
}

inline void LinearTiles(const LinearTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const sums = static_cast<float*>(scratch);
  auto* const tail = reinterpret_cast<core::BFloat16*>(sums + kRowChunk * kBlock);
  const int64_t tail_inputs = task.k % kTileInputs;
  ConfigureTiles(32);
  for (int64_t first_output = 0; first_output < task.outputs; first_output += kBlock) {
    const auto* const block = reinterpret_cast<const core::BFloat16*>(
        static_cast<const uint8_t*>(task.weight) +
        static_cast<size_t>(first_output / kBlock) * task.block_bytes);
    for (int64_t first_row = 0; first_row < task.rows; first_row += kRowChunk) {
      const int64_t rows = task.rows - first_row < kRowChunk ? task.rows - first_row : kRowChunk;
      const auto* const x = static_cast<const core::BFloat16*>(task.x) + first_row * task.x_stride;
      for (int64_t row = 0; row < rows && tail_inputs > 0; ++row) {
        __builtin_memset(tail + row * kTileInputs, 0, 64);
        __builtin_memcpy(tail + row * kTileInputs, x + row * task.x_stride + task.k - tail_inputs,
                         static_cast<size_t>(tail_inputs) * sizeof(core::BFloat16));
      }
      __asm__ volatile(""
                       :
                       : "r"(tail)
                       : "memory");  // g++'s tile loads do not say that they read memory
      for (int64_t k = 0; k < task.k; k += kTileSlab) {
        const int64_t inputs = task.k - k < kTileSlab ? task.k - k : kTileSlab;
        const bool at_end = k + inputs == task.k;
        MultiplySlab({x + k, task.x_stride * 2, at_end && tail_inputs > 0 ? tail : nullptr,
                      block + k * kBlock, inputs / kTileInputs, sums, k == 0},
                     rows);
      }
      FinishBlock(task, first_row, rows, first_output, sums);
    }
  }
  _tile_release();
}
