// Linear() on AMX tiles for at most 32 rows, x and the packed weight as they lie. Included after
// gemm-inl.h, rows-inl.h and tile_shapes-inl.h, in their target region.
//
// So few rows keep the tiles busy for half of the time at most: what counts is that memory never
// waits. A block is read forward, and software asks for every line of it some way ahead, into the
// second-level cache (measured, reading alone = 1: 16 rows 1.0, without asking 0.92). 16 rows
// multiply 64 outputs at a time. More take two turns of 32 outputs, which alternate every few
// steps: so the second finds the weights in the first-level cache, and memory is asked evenly
// (measured, 32 rows: 0.91; with a turn for a whole block 0.72 to 0.90).
//
// Up to four rows are left to the vectors, which add up in the order of the tiles, bit by bit.
// Tiles are shared by the threads of a core, on virtual machines with strangers: beside busy ones,
// decoding took 1.2 and 1.5 times as long on tiles as on vectors (two rounds in turn).

constexpr int64_t kSumBytes = PackedLayout::kBlock * sizeof(float);
constexpr int64_t kPairBytes =
    PackedLayout::kBlock * 2 * sizeof(core::BFloat16);  // one pair of inputs of a block
constexpr int64_t kStepElements = kTileInputs * PackedLayout::kBlock;
constexpr int64_t kStepBytes = kStepElements * sizeof(core::BFloat16);
constexpr int64_t kTurnSteps = 7;  // 28 KiB of weights

// What to ask for: the block that is being multiplied, then the one after it.
struct BlocksAhead {
  const uint8_t* block;
  int64_t block_bytes;
  const uint8_t* next;

  // kBytes from `offset` in the block on; a multiple of half a step.
  template <int64_t kBytes, int kLocality>
  void Ask(int64_t offset) const {
    const uint8_t* const at = offset < block_bytes ? block + offset : next + (offset - block_bytes);
#pragma GCC unroll 64
    for (int64_t line = 0; line < kBytes; line += 64) __builtin_prefetch(at + line, 0, kLocality);
  }
};

// Up to 32 rows of x. `tail` [rows, 32] holds the inputs that fill no tile, zero padded; nullptr
// when there are none.
struct FewRows {
  int64_t rows;
  const core::BFloat16* x;
  int64_t x_bytes;  // from row to row
  int64_t steps;
  const core::BFloat16* tail;
};

// 32 inputs of up to 16 rows for 64 outputs.
inline void NarrowStep(const void* x, int64_t x_bytes, const core::BFloat16* b) {
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

// sums [rows, 64] = x * block for up to 16 rows.
inline void MultiplyNarrow(const FewRows& rows, const BlocksAhead& ahead, float* sums) {
  constexpr int64_t kAheadBytes = 16384;
  const auto* const block = reinterpret_cast<const core::BFloat16*>(ahead.block);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t step = 0; step < rows.steps; ++step) {
    ahead.Ask<kStepBytes, 2>(step * kStepBytes + kAheadBytes);
    NarrowStep(rows.x + step * kTileInputs, rows.x_bytes, block + step * kStepElements);
  }
  if (rows.tail != nullptr) NarrowStep(rows.tail, 64, block + rows.steps * kStepElements);
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + 16, kSumBytes);
  _tile_stored(2, sums + 32, kSumBytes);
  _tile_stored(3, sums + 48, kSumBytes);
}

// Where the steps [first, first + steps) of a block find x.
struct Turn {
  const core::BFloat16* x;
  int64_t x_bytes;
  int64_t first;
  int64_t steps;
};

// sums [17 to 32 rows, outputs of one half] += x * block over some steps, each of which asks for
// half a step's weights.
inline void MultiplyTurn(const Turn& turn, const BlocksAhead& ahead, int64_t half, float* sums) {
  constexpr int64_t kAheadBytes = 32768;
  const int64_t offset = turn.first * kStepBytes + kAheadBytes + half * turn.steps * kStepBytes / 2;
  const core::BFloat16* b = reinterpret_cast<const core::BFloat16*>(ahead.block) +
                            turn.first * kStepElements + half * kPairBytes / 4;
  sums += half * PackedLayout::kBlock / 2;
  float* const lower_sums = sums + kTileRows * PackedLayout::kBlock;
  _tile_loadd(0, sums, kSumBytes);
  _tile_loadd(1, sums + 16, kSumBytes);
  _tile_loadd(2, lower_sums, kSumBytes);
  _tile_loadd(3, lower_sums + 16, kSumBytes);
  const auto* upper = reinterpret_cast<const uint8_t*>(turn.x);
  const uint8_t* lower = upper + kTileRows * turn.x_bytes;
  for (int64_t step = 0; step < turn.steps; ++step) {
    ahead.Ask<kStepBytes / 2, 2>(offset + step * kStepBytes / 2);
    _tile_loadd(6, b, kPairBytes);
    _tile_loadd(4, upper, turn.x_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 32, kPairBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower, turn.x_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    upper += kTileInputs * 2;
    lower += kTileInputs * 2;
    b += kStepElements;
  }
  _tile_stored(0, sums, kSumBytes);
  _tile_stored(1, sums + 16, kSumBytes);
  _tile_stored(2, lower_sums, kSumBytes);
  _tile_stored(3, lower_sums + 16, kSumBytes);
}

// sums [rows, 64] = x * block for 17 to 32 rows.
inline void MultiplyInTurns(const FewRows& rows, const BlocksAhead& ahead, float* sums) {
  __builtin_memset(sums, 0, static_cast<size_t>(rows.rows * kSumBytes));
  __asm__ volatile("" : : "r"(sums) : "memory");  // g++'s tile loads do not say that they read
  const auto both = [&](const Turn& turn) {
    MultiplyTurn(turn, ahead, 0, sums);
    MultiplyTurn(turn, ahead, 1, sums);
  };
  for (int64_t first = 0; first < rows.steps; first += kTurnSteps) {
    const int64_t left = rows.steps - first;
    both(
        {rows.x + first * kTileInputs, rows.x_bytes, first, left < kTurnSteps ? left : kTurnSteps});
  }
  if (rows.tail != nullptr) both({rows.tail, 64, rows.steps, 1});
}

// Tiles take numbers below the normal ones for zero, in operands and results.
class DenormalsAreZero {
 public:
  DenormalsAreZero() { _mm_setcsr(saved_ | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON); }
  ~DenormalsAreZero() { _mm_setcsr(saved_); }
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;

 private:
  const unsigned saved_ = _mm_getcsr();
};

// sums [R, 64] += x [R, 32] * b for the 16 * V outputs from `b` on, as _tile_dpbf16ps() does it:
// even and odd inputs are a chain of fused multiply-adds each, whose sum is added at last.
template <int R, int V>
inline void VectorStep(const float (*x)[kTileInputs], const core::BFloat16* b, float* sums) {
  Vec even[R][V], odd[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) even[r][v] = odd[r][v] = Zero();
  }
  for (int pair = 0; pair < kTileInputs / 2; ++pair, b += 2 * PackedLayout::kBlock) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const Pairs pairs = LoadPairs(b + 2 * kLanes * v);
      const Vec even_b = Even(pairs), odd_b = Odd(pairs);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        even[r][v] = Fma(Broadcast(x[r][2 * pair]), even_b, even[r][v]);
        odd[r][v] = Fma(Broadcast(x[r][2 * pair + 1]), odd_b, odd[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      float* const sum = sums + r * PackedLayout::kBlock + v * kLanes;
      Store(Load(sum) + (even[r][v] + odd[r][v]), sum);
    }
  }
}

// sums [R, 64] = x * block. Not inlined, so that no sum leaves the scope of DenormalsAreZero. A
// single row is over so soon that its weights go straight to the first-level cache.
template <int R>
__attribute__((noinline)) void MultiplyOnVectors(const FewRows& rows, const BlocksAhead& ahead,
                                                 float* sums) {
  constexpr int kVectors = R <= 2 ? 4 : 2;  // that their sums fit the registers
  constexpr int kLocality = R == 1 ? 3 : 2;
  constexpr int64_t kAheadBytes = R == 1 ? 8192 : 16384;
  const auto* const block = reinterpret_cast<const core::BFloat16*>(ahead.block);
  alignas(64) float x[R][kTileInputs];
  const auto step = [&](const core::BFloat16* from, int64_t stride, const core::BFloat16* b) {
    for (int r = 0; r < R; ++r)
      for (int i = 0; i < kTileInputs; i += kLanes) Store(Load(from + r * stride + i), x[r] + i);
    for (int v = 0; v < 4; v += kVectors)
      VectorStep<R, kVectors>(x, b + 2 * kLanes * v, sums + v * kLanes);
  };
  __builtin_memset(sums, 0, static_cast<size_t>(R * kSumBytes));
  for (int64_t i = 0; i < rows.steps; ++i) {
    ahead.Ask<kStepBytes, kLocality>(i * kStepBytes + kAheadBytes);
    step(rows.x + i * kTileInputs, rows.x_bytes / 2, block + i * kStepElements);
  }
  if (rows.tail != nullptr) step(rows.tail, kTileInputs, block + rows.steps * kStepElements);
}

inline bool OnVectors(int64_t rows) { return rows <= 4; }

inline void MultiplyFew(const FewRows& rows, const BlocksAhead& ahead, float* sums) {
  if (OnVectors(rows.rows)) {
    const DenormalsAreZero as_tiles;
    if (rows.rows == 1) return MultiplyOnVectors<1>(rows, ahead, sums);
    if (rows.rows == 2) return MultiplyOnVectors<2>(rows, ahead, sums);
    if (rows.rows == 3) return MultiplyOnVectors<3>(rows, ahead, sums);
    MultiplyOnVectors<4>(rows, ahead, sums);
  } else if (rows.rows <= kTileRows) {
    MultiplyNarrow(rows, ahead, sums);
  } else {
    MultiplyInTurns(rows, ahead, sums);
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

// The rows of a task; `tail` holds 32 x 32.
inline FewRows FewRowsOf(const LinearTask& task, core::BFloat16* tail) {
  const auto* const x = static_cast<const core::BFloat16*>(task.x);
  const bool has_tail = task.k % kTileInputs != 0;
  if (has_tail) CopyTail(x, task.x_stride, task.rows, task.k, tail);
  return {task.rows, x, task.x_stride * 2, task.k / kTileInputs, has_tail ? tail : nullptr};
}

inline void LinearTiles(const LinearTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const sums = static_cast<float*>(scratch);
  const FewRows rows =
      FewRowsOf(task, reinterpret_cast<core::BFloat16*>(sums + TiledRows::kFewRows * kBlock));
  TileShapes shapes;
  if (!OnVectors(task.rows)) shapes.Set(task.rows);
  const auto* block = static_cast<const uint8_t*>(task.weight);
  const auto block_bytes = static_cast<int64_t>(task.block_bytes);
  for (int64_t output = 0; output < task.outputs; output += kBlock, block += block_bytes) {
    MultiplyFew(rows, {block, block_bytes, block + block_bytes}, sums);
    FinishBlock(task, 0, task.rows, output, sums);
  }
}

// A gate and its up one after the other: both are still in the first-level cache when they meet.
inline void LinearGatedTiles(const GatedTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const gate = static_cast<float*>(scratch);
  float* const up = gate + TiledRows::kFewRows * kBlock;
  const FewRows rows =
      FewRowsOf(task.linear, reinterpret_cast<core::BFloat16*>(up + TiledRows::kFewRows * kBlock));
  TileShapes shapes;
  if (!OnVectors(task.linear.rows)) shapes.Set(task.linear.rows);
  const auto block_bytes = static_cast<int64_t>(task.linear.block_bytes);
  const auto block_of = [&](int64_t output) {
    return static_cast<const uint8_t*>(task.linear.weight) + output / kBlock * block_bytes;
  };
  for (int64_t i = 0; i < task.linear.outputs; i += kBlock) {
    const int64_t output = task.first_output + i;
    const uint8_t* const up_block = block_of(output + task.up_outputs);
    MultiplyFew(rows, {block_of(output), block_bytes, up_block}, gate);
    MultiplyFew(rows, {up_block, block_bytes, block_of(output + kBlock)}, up);
    FinishGated(task, 0, task.linear.rows, output, kBlock, gate, up);
  }
}
