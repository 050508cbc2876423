// Linear() on AMX tiles for many rows: 32 rows x half a block at a time. Included after
// tiles-inl.h, in its target region.
//
// What bounds it, once the operands are in tiles: of the 64 cycles that the four products of a step
// take, the tile loads from the second-level cache need most; so nothing else may wait. The weights
// of the next block are asked for while this one is multiplied (they come from memory), and so are
// the lines of y that will be written (a store would wait for each).

static_assert(TiledRows::kRows == kTileRows && TiledRows::kInputs == kTileInputs);

constexpr int64_t kHalf = PackedLayout::kBlock / 2;
constexpr int64_t kPartRows = 2 * kTileRows;
constexpr int64_t kPartSums = kPartRows * kHalf;
constexpr int64_t kPartBytes = kHalf * sizeof(float);  // a row of the sums of a part

inline void TileRowsOf(const TileRowsTask& task) {
  const TiledRows& shape = task.shape;
  const auto* const x = static_cast<const core::BFloat16*>(task.x);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
    const int64_t first = shape.FirstTile(slab);
    const int64_t tiles = shape.FirstTile(slab + 1) - first;
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      auto* const to = static_cast<uint8_t*>(task.tiled) + shape.Offset(slab, group);
      for (int64_t row = 0; row < kTileRows; ++row) {
        const int64_t source = group * kTileRows + row;
        for (int64_t tile = 0; tile < tiles; ++tile) {
          const int64_t input = (first + tile) * kTileInputs;
          const int64_t left = source < shape.rows ? shape.k - input : 0;
          const auto mask = left >= kTileInputs ? ~__mmask32{0}
                                                : static_cast<__mmask32>((uint64_t{1} << left) - 1);
          _mm512_store_si512(to + tile * TiledRows::kTileBytes + row * 64,
                             _mm512_maskz_loadu_epi16(mask, x + source * task.x_stride + input));
        }
      }
    }
  }
}

// Memory to ask for, some lines with every step.
struct Ahead {
  const uint8_t* weights;  // of a later part
  int64_t weight_lines;    // per step
  uint8_t* y;              // rows that this part will be written to; nullptr: none
  int64_t y_bytes;         // of a row
  int64_t y_stride_bytes;
  int64_t y_rows;  // per step
};

// g++ 12 removes a loop of nothing but __builtin_prefetch.
inline void AskToRead(const void* p) {
  __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const uint8_t*>(p)));
}

inline void AskToWrite(const void* p) {
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const uint8_t*>(p)));
}

inline void AskAhead(const Ahead& ahead, int64_t step) {
  const uint8_t* const weights = ahead.weights + step * ahead.weight_lines * 64;
  for (int64_t line = 0; line < ahead.weight_lines; ++line) AskToRead(weights + line * 64);
  if (ahead.y == nullptr) return;
  for (int64_t row = step * ahead.y_rows; row < (step + 1) * ahead.y_rows && row < kPartRows;
       ++row) {
    AskToWrite(ahead.y + row * ahead.y_stride_bytes);
    AskToWrite(ahead.y + row * ahead.y_stride_bytes + ahead.y_bytes - 1);
  }
}

// out [32, 32] = sums + two groups of tiled rows x half a block; without `sums`, which are 32 wide,
// from zero.
inline void MultiplyPart(const uint8_t* upper, const uint8_t* lower, const core::BFloat16* half,
                         int64_t tiles, const Ahead& ahead, const float* sums, float* out,
                         int64_t out_stride) {
  if (sums == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, kPartBytes);
    _tile_loadd(1, sums + 16, kPartBytes);
    _tile_loadd(2, sums + kTileRows * kHalf, kPartBytes);
    _tile_loadd(3, sums + kTileRows * kHalf + 16, kPartBytes);
  }
  for (int64_t tile = 0; tile < tiles; ++tile) {
    _tile_loadd(6, half, kPairBytes);
    _tile_loadd(4, upper, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, half + 32, kPairBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    AskAhead(ahead, tile);
    upper += TiledRows::kTileBytes;
    lower += TiledRows::kTileBytes;
    half += kStepElements;
  }
  const int64_t out_bytes = out_stride * static_cast<int64_t>(sizeof(float));
  float* const lower_out = out + kTileRows * out_stride;
  _tile_stored(0, out, out_bytes);
  _tile_stored(1, out + 16, out_bytes);
  _tile_stored(2, lower_out, out_bytes);
  _tile_stored(3, lower_out + 16, out_bytes);
}

// y = sums (+ bias) (+ y) for the rows and outputs of the part that exist.
inline void FinishPart(const LinearTask& task, int64_t first_row, int64_t first_output,
                       const float* sums) {
  const int64_t rows = task.rows - first_row < kPartRows ? task.rows - first_row : kPartRows;
  const int64_t outputs = task.outputs - first_output < kHalf ? task.outputs - first_output : kHalf;
  FinishRows(task, first_row, rows, first_output, outputs, sums, kHalf);
}

// Where the sums of a part go when its last slab is done: straight to y where nothing else is to be
// added and all rows and outputs exist.
inline bool GoesToY(const LinearTask& task, int64_t part, int64_t half) {
  return task.bias == nullptr && !task.accumulate && (part + 1) * kPartRows <= task.rows &&
         (half + 1) * kHalf <= task.outputs;
}

// A slab of all rows of a task, and what is asked for while half a block is multiplied with it.
struct SlabOfRows {
  SlabOfRows(const TiledLinearTask& of, int64_t index)
      : task(of),
        slab(index),
        tiles(of.shape.FirstTile(index + 1) - of.shape.FirstTile(index)),
        parts((of.linear.rows + kPartRows - 1) / kPartRows),
        last(index + 1 == of.shape.slabs()) {}

  const uint8_t* Group(int64_t part, bool lower) const {
    // A last group without a pair is multiplied twice; nobody looks at the second result.
    const int64_t group = task.first_row / kTileRows + 2 * part;
    return static_cast<const uint8_t*>(task.linear.x) +
           task.shape.Offset(slab, lower && group + 1 < task.shape.groups() ? group + 1 : group);
  }
  // The slab's part of a block.
  const uint8_t* Block(int64_t half) const {
    return static_cast<const uint8_t*>(task.linear.weight) + half / 2 * task.linear.block_bytes +
           task.shape.FirstTile(slab) * kStepElements * 2;
  }
  // Both halves of a block ask for half of the next block, line after line.
  Ahead AheadOf(int64_t half) const {
    return {.weights = Block(half) + task.linear.block_bytes + half % 2 * tiles * kStepElements,
            .weight_lines = (kStepElements / 64 + parts - 1) / parts,
            .y = nullptr,
            .y_bytes = kHalf * 4,
            .y_stride_bytes = task.linear.y_stride * 4,
            .y_rows = (kPartRows + tiles - 1) / tiles};
  }
  void Multiply(int64_t part, int64_t half, const Ahead& ahead, float* sums, float* out,
                int64_t out_stride) const {
    MultiplyPart(Group(part, false), Group(part, true),
                 reinterpret_cast<const core::BFloat16*>(Block(half)) + half % 2 * 64, tiles, ahead,
                 slab == 0 ? nullptr : sums, out, out_stride);
  }

  const TiledLinearTask& task;
  int64_t slab;
  int64_t tiles;
  int64_t parts;
  bool last;
};

// Half a block with all rows of the slab. `sums` are those of the first part; each part has its own
// when there are several slabs.
inline void MultiplyHalf(const SlabOfRows& rows, int64_t half, float* sums) {
  const LinearTask& linear = rows.task.linear;
  Ahead ahead = rows.AheadOf(half);
  for (int64_t part = 0; part < rows.parts; ++part) {
    float* const y = linear.y + part * kPartRows * linear.y_stride + half * kHalf;
    if (rows.last) ahead.y = reinterpret_cast<uint8_t*>(y);
    const bool to_y = rows.last && GoesToY(linear, part, half);
    rows.Multiply(part, half, ahead, sums, to_y ? y : sums, to_y ? linear.y_stride : kHalf);
    if (rows.last && !to_y) FinishPart(linear, part * kPartRows, half * kHalf, sums);
    ahead.weights += rows.tiles * ahead.weight_lines * 64;
    if (rows.task.shape.slabs() > 1) sums += kPartSums;
  }
}

inline void LinearTiledRows(const TiledLinearTask& task, void* scratch) {
  const int64_t halves = (task.linear.outputs + kHalf - 1) / kHalf;
  TileShapes shapes;
  shapes.Set(kPartRows);
  for (int64_t slab = 0; slab < task.shape.slabs(); ++slab) {
    const SlabOfRows rows(task, slab);
    const int64_t half_sums = task.shape.slabs() == 1 ? 0 : rows.parts * kPartSums;
    for (int64_t half = 0; half < halves; ++half)
      MultiplyHalf(rows, half, static_cast<float*>(scratch) + half * half_sums);
  }
}

// A gate and its up one after the other, as LinearGatedTiles() does.
inline void LinearTiledGated(const TiledGatedTask& task, void* scratch) {
  const TiledRows& shape = task.shape;
  const GatedTask& gated = task.gated;
  const TiledLinearTask linear{gated.linear, shape, task.first_row};
  const int64_t element = gated.dtype == core::DType::kF32 ? 4 : 2;
  const int64_t first = gated.first_output / kHalf;
  const int64_t halves = gated.linear.outputs / kHalf;
  TileShapes shapes;
  shapes.Set(kPartRows);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
    const SlabOfRows rows(linear, slab);
    float* sums = static_cast<float*>(scratch);
    for (int64_t half = first; half < first + halves; ++half) {
      const int64_t up_half = half + gated.up_outputs / kHalf;
      Ahead ahead = rows.AheadOf(half), up_ahead = rows.AheadOf(up_half);
      up_ahead.y_bytes = kHalf * element;
      up_ahead.y_stride_bytes = gated.y_stride * element;
      for (int64_t part = 0; part < rows.parts; ++part) {
        const int64_t row = part * kPartRows;
        if (rows.last)
          up_ahead.y = static_cast<uint8_t*>(gated.y) +
                       (row * gated.y_stride + (half - first) * kHalf) * element;
        rows.Multiply(part, half, ahead, sums, sums, kHalf);
        rows.Multiply(part, up_half, up_ahead, sums + kPartSums, sums + kPartSums, kHalf);
        if (rows.last) {
          const int64_t left = gated.linear.rows - row;
          FinishGated(gated, row, left < kPartRows ? left : kPartRows, half * kHalf, kHalf, sums,
                      sums + kPartSums);
        }
        ahead.weights += rows.tiles * ahead.weight_lines * 64;
        up_ahead.weights += rows.tiles * up_ahead.weight_lines * 64;
        if (shape.slabs() > 1) sums += 2 * kPartSums;
      }
    }
  }
}
