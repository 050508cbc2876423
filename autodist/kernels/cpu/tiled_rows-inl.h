// Linear() on AMX tiles for many rows: 32 rows x half a block at a time. Included after
// tiles-inl.h, in its target region.
//
// What bounds it, once the operands are in tiles (measured, in cycles of a step whose four products
// take 64): loading both operands from the second-level cache takes 92; each line that a step takes
// from memory, weights or y, 10 to 13 more, as lines that are asked for and tile loads share the
// fill buffers; rows of x that other memory has pushed out of the cache, 20 and more. So lines are
// asked for ahead, a few with each step; no more than two blocks of weights want the cache beside
// the rows; and every second half block takes the rows backwards. What the vector units do with
// sums (30, when it came after each part) is done while the next part is multiplied.

static_assert(TiledRows::kRows == kTileRows && TiledRows::kInputs == kTileInputs);

constexpr int64_t kHalf = PackedLayout::kBlock / 2;
constexpr int64_t kPartRows = 2 * kTileRows;
constexpr int64_t kPartSums = kPartRows * kHalf;
constexpr int64_t kPartBytes = kHalf * sizeof(float);  // a row of the sums of a part

inline void TileRowsOf(const TileRowsTask& task) {
  constexpr int64_t kNeighbours =
      8;  // tiles that a row fills before the next row: they stay at hand
  const TiledRows& shape = task.shape;
  const auto* const x = static_cast<const core::BFloat16*>(task.x);
  const auto copy = [&](uint8_t* to, int64_t group, int64_t first, int64_t tiles) {
    for (int64_t row = 0; row < kTileRows; ++row) {
      const int64_t source = group * kTileRows + row;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t input = (first + tile) * kTileInputs;
        const int64_t left = source < shape.rows ? shape.k - input : 0;
        const auto mask =
            left >= kTileInputs ? ~__mmask32{0} : static_cast<__mmask32>((uint64_t{1} << left) - 1);
        _mm512_store_si512(to + tile * TiledRows::kTileBytes + row * 64,
                           _mm512_maskz_loadu_epi16(mask, x + source * task.x_stride + input));
      }
    }
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
    const int64_t first = shape.FirstTile(slab);
    const int64_t tiles = shape.FirstTile(slab + 1) - first;
    for (int64_t group = task.first_group; group < task.last_group; ++group) {
      auto* const to = static_cast<uint8_t*>(task.tiled) + shape.Offset(slab, group);
      for (int64_t tile = 0; tile < tiles; tile += kNeighbours) {
        copy(to + tile * TiledRows::kTileBytes, group, first + tile,
             tiles - tile < kNeighbours ? tiles - tile : kNeighbours);
      }
    }
  }
}

// g++ 12 removes a loop of nothing but __builtin_prefetch.
inline void AskToRead(const void* p) {
  __asm__ volatile("prefetcht1 %0" : : "m"(*static_cast<const uint8_t*>(p)));
}

inline void AskToWrite(const void* p) {
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const uint8_t*>(p)));
}

// Memory to ask for while a part is multiplied.
struct Ahead {
  static constexpr int64_t kGroupBytes = 256;

  const uint8_t* weights = nullptr;  // of a later part
  int64_t weight_groups = 0;         // of kGroupBytes, per step
  uint8_t* y = nullptr;              // rows that this part will be written to; nullptr: none
  int64_t y_bytes = 0;               // of a row
  int64_t y_stride_bytes = 0;

  void AskForWeights(int64_t step) const {
    const uint8_t* at = weights + step * weight_groups * kGroupBytes;
    for (int64_t group = 0; group < weight_groups; ++group, at += kGroupBytes) {
#pragma GCC unroll 4
      for (int64_t line = 0; line < kGroupBytes; line += 64) AskToRead(at + line);
    }
  }
  void AskForRow(int64_t row) const {
    if (y == nullptr) return;
    AskToWrite(y + row * y_stride_bytes);
    AskToWrite(y + row * y_stride_bytes + y_bytes - 1);
  }
};

// Sums of a part that become y = sums (+ bias) (+ y), for the rows and outputs that exist.
struct LinearPart {
  const LinearTask* task = nullptr;
  int64_t first_row = 0, rows = 0;
  int64_t first_output = 0, outputs = 0;
  const float* sums = nullptr;

  // Whether the sums are y: they may go straight there.
  bool IsFinished() const {
    return task->bias == nullptr && !task->accumulate && rows == kPartRows && outputs == kHalf;
  }
  void Finish(int64_t row) const {
    FinishRows(*task, first_row + row, 1, first_output, outputs, sums + row * kHalf, kHalf);
  }
};

// Sums of a part of gates and of its ups that become y.
struct GatedPart {
  const GatedTask* task = nullptr;
  int64_t first_row = 0, rows = 0;
  int64_t first_output = 0;
  float* gate = nullptr;
  float* up = nullptr;

  void Finish(int64_t row) const {
    FinishGated(*task, first_row + row, 1, first_output, kHalf, gate + row * kHalf,
                up + row * kHalf);
  }
};

// Where a part finds its operands.
struct PartOperands {
  const uint8_t* upper;  // groups of tiled rows
  const uint8_t* lower;
  const core::BFloat16* half;
  int64_t tiles;
};

// out [32, 32] = sums + two groups of tiled rows x half a block; without `sums`, which are 32 wide,
// from zero. Meanwhile memory is asked for and `before`, the part before it, is finished: a row or
// so with each step, as the vector units have little to do.
template <typename Part>
inline void MultiplyPart(const PartOperands& operands, const Ahead& ahead, const Part& before,
                         const float* sums, float* out, int64_t out_stride) {
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
  const uint8_t* upper = operands.upper;
  const uint8_t* lower = operands.lower;
  const core::BFloat16* half = operands.half;
  const int64_t rows_per_step = (kPartRows + operands.tiles - 1) / operands.tiles;
  for (int64_t tile = 0, row = 0; tile < operands.tiles; ++tile) {
    _tile_loadd(6, half, kPairBytes);
    _tile_loadd(4, upper, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, half + 32, kPairBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    upper += TiledRows::kTileBytes;
    lower += TiledRows::kTileBytes;
    half += kStepElements;
    ahead.AskForWeights(tile);
    for (int64_t i = 0; i < rows_per_step && row < kPartRows; ++i, ++row) {
      ahead.AskForRow(row);
      if (row < before.rows) before.Finish(row);
    }
  }
  const int64_t out_bytes = out_stride * static_cast<int64_t>(sizeof(float));
  float* const lower_out = out + kTileRows * out_stride;
  _tile_stored(0, out, out_bytes);
  _tile_stored(1, out + 16, out_bytes);
  _tile_stored(2, lower_out, out_bytes);
  _tile_stored(3, lower_out + 16, out_bytes);
}

// A slab of all rows of a task.
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
  // The part that is the `turn`th of the share. Every second half takes the parts backwards: those
  // that it begins with are the likeliest to be in the cache.
  int64_t PartOf(int64_t turn) const {
    const int64_t part = turn % parts;
    return turn / parts % 2 == 0 ? part : parts - 1 - part;
  }
  PartOperands Operands(int64_t part, int64_t half) const {
    return {Group(part, false), Group(part, true),
            reinterpret_cast<const core::BFloat16*>(Block(half)) + half % 2 * 64, tiles};
  }
  // What the product asks for that is the `turn`th of its half: its share of what `next` needs, a
  // half that is as far into a block as this one; together both ask for a block.
  Ahead AheadOf(int64_t turn, int64_t half, int64_t next) const {
    const int64_t bytes = tiles * kStepElements;
    const int64_t groups =
        (kStepElements + parts * Ahead::kGroupBytes - 1) / (parts * Ahead::kGroupBytes);
    const int64_t asked = turn * tiles * groups * Ahead::kGroupBytes;
    return {.weights = Block(next) + half % 2 * bytes + asked,
            .weight_groups = asked < bytes ? groups : 0};
  }
  int64_t Rows(int64_t part) const {
    const int64_t left = task.linear.rows - part * kPartRows;
    return left < kPartRows ? left : kPartRows;
  }
  int64_t Outputs(int64_t half) const {
    const int64_t left = task.linear.outputs - half * kHalf;
    return left < kHalf ? left : kHalf;
  }

  const TiledLinearTask& task;
  int64_t slab;
  int64_t tiles;
  int64_t parts;
  bool last;
};

template <typename Part>
inline void FinishAll(const Part& part) {
  for (int64_t row = 0; row < part.rows; ++row) part.Finish(row);
}

// Sums of a share. With one slab two parts have some in turn; with more, each part has its own.
class PartSums {
 public:
  PartSums(void* scratch, const TiledRows& shape)
      : at_(static_cast<float*>(scratch)), in_turn_(shape.slabs() == 1) {}

  float* Of(int64_t part, int64_t turn) const {
    return at_ + (in_turn_ ? turn % 2 : part) * kPartSums;
  }

 private:
  float* at_;
  bool in_turn_;
};

inline void LinearTiledRows(const TiledLinearTask& task, void* scratch) {
  const LinearTask& linear = task.linear;
  const PartSums all_sums(scratch, task.shape);
  const int64_t halves = (linear.outputs + kHalf - 1) / kHalf;
  LinearPart before;
  TileShapes shapes;
  shapes.Set(kPartRows);
  for (int64_t slab = 0; slab < task.shape.slabs(); ++slab) {
    const SlabOfRows rows(task, slab);
    for (int64_t i = 0; i < halves * rows.parts; ++i) {
      const int64_t half = i / rows.parts, part = rows.PartOf(i);
      float* const sums = all_sums.Of(half * rows.parts + part, i);
      float* const y = linear.y + part * kPartRows * linear.y_stride + half * kHalf;
      const LinearPart own = {&linear,      part * kPartRows,   rows.Rows(part),
                              half * kHalf, rows.Outputs(half), sums};
      Ahead ahead = rows.AheadOf(i % rows.parts, half, half + 2);
      if (rows.last) {
        ahead.y = reinterpret_cast<uint8_t*>(y);
        ahead.y_bytes = kHalf * 4;
        ahead.y_stride_bytes = linear.y_stride * 4;
      }
      const bool to_y = rows.last && own.IsFinished();
      MultiplyPart(rows.Operands(part, half), ahead, before, slab > 0 ? sums : nullptr,
                   to_y ? y : sums, to_y ? linear.y_stride : kHalf);
      before = rows.last && !to_y ? own : LinearPart{};
    }
  }
  FinishAll(before);
}

// A block of gates, then its ups: so no more than two blocks of weights need the cache at a time.
// `scratch` holds the sums of a block of gates and two parts of ups, or with several slabs of all.
class GatedShare {
 public:
  GatedShare(const TiledGatedTask& task, void* scratch)
      : gated_(task.gated),
        linear_{task.gated.linear, task.shape, task.first_row},
        first_(gated_.first_output / kHalf),
        end_(first_ + gated_.linear.outputs / kHalf),
        gates_(static_cast<float*>(scratch)),
        one_slab_(task.shape.slabs() == 1) {}

  void Multiply() {
    for (int64_t slab = 0; slab < linear_.shape.slabs(); ++slab) {
      const SlabOfRows rows(linear_, slab);
      for (int64_t half = first_; half < end_;) {
        const int64_t begin = half;
        half = half / 2 * 2 + 2 < end_ ? half / 2 * 2 + 2 : end_;
        MultiplyGates(rows, begin, half);
        MultiplyUps(rows, begin, half);
      }
    }
    FinishAll(before_);
  }

 private:
  float* GateSums(const SlabOfRows& rows, int64_t half, int64_t part) const {
    return gates_ + ((one_slab_ ? half % 2 : half - first_) * rows.parts + part) * kPartSums;
  }
  float* UpSums(const SlabOfRows& rows, int64_t half, int64_t part) const {
    float* const ups = gates_ + (one_slab_ ? 2 : end_ - first_) * rows.parts * kPartSums;
    return ups + (one_slab_ ? turn_ % 2 : (half - first_) * rows.parts + part) * kPartSums;
  }

  void MultiplyGates(const SlabOfRows& rows, int64_t begin, int64_t end) {
    for (int64_t half = begin; half < end; ++half) {
      for (int64_t i = 0; i < rows.parts; ++i, ++turn_) {
        const int64_t part = rows.PartOf(turn_);
        float* const sums = GateSums(rows, half, part);
        MultiplyPart(rows.Operands(part, half), rows.AheadOf(i, half, half + up_halves()), before_,
                     rows.slab > 0 ? sums : nullptr, sums, kHalf);
        before_ = {};
      }
    }
  }

  void MultiplyUps(const SlabOfRows& rows, int64_t begin, int64_t end) {
    const int64_t element = gated_.dtype == core::DType::kF32 ? 4 : 2;
    for (int64_t half = begin; half < end; ++half) {
      const int64_t up_half = half + up_halves();
      for (int64_t i = 0; i < rows.parts; ++i, ++turn_) {
        const int64_t part = rows.PartOf(turn_);
        float* const sums = UpSums(rows, half, part);
        Ahead ahead = rows.AheadOf(i, up_half, half + 2);
        if (rows.last) {
          ahead.y = static_cast<uint8_t*>(gated_.y) +
                    (part * kPartRows * gated_.y_stride + (half - first_) * kHalf) * element;
          ahead.y_bytes = kHalf * element;
          ahead.y_stride_bytes = gated_.y_stride * element;
        }
        MultiplyPart(rows.Operands(part, up_half), ahead, before_, rows.slab > 0 ? sums : nullptr,
                     sums, kHalf);
        before_ = {};
        if (rows.last)
          before_ = {&gated_,      part * kPartRows,           rows.Rows(part),
                     half * kHalf, GateSums(rows, half, part), sums};
      }
    }
  }

  int64_t up_halves() const { return gated_.up_outputs / kHalf; }

  const GatedTask& gated_;
  TiledLinearTask linear_;
  int64_t first_, end_;  // halves of gates
  float* gates_;
  bool one_slab_;
  int64_t turn_ = 0;  // of all products
  GatedPart before_;
};

inline void LinearTiledGated(const TiledGatedTask& task, void* scratch) {
  TileShapes shapes;
  shapes.Set(kPartRows);
  GatedShare(task, scratch).Multiply();
}
