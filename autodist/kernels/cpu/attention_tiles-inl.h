// Attention of one task over bf16 pages on AMX tiles. Included after attention_state-inl.h,
// pairs-inl.h and tile_shapes-inl.h, in their target region.
//
// Both products take pages as they lie, as pairs: scores = q (A) * keys (B) over the head's
// elements, sums += weights (A) * values (B) over positions. q and weights are rounded to bf16;
// scores, maxima, denominators and sums are f32. A block of keys meets 32 rows at a time: their
// scores stay in the first-level cache until they are weights and multiplied with the values.

constexpr int64_t kBlockKeys = 256;  // divides kAttentionSegment
// From row to row of scores and weights: no power of two, so that rows lie in different cache sets.
constexpr int64_t kScoreStride = kBlockKeys + 16;
constexpr int64_t kScoreBytes = kScoreStride * sizeof(float);
constexpr int64_t kBlockTiles = kBlockKeys / kKeyTile;
constexpr int64_t kBlockSteps = kBlockKeys / kTileInputs;
constexpr int64_t kMostRows = 2 * kTileRows;  // that one product takes
static_assert(kMostRows == kSoftmaxRows);

// C = or += A * B. One step is 32 inputs: 64 bytes of each row of A, and 16 lines of B.
struct StepProduct {
  const void* a;
  int64_t a_bytes;          // from row to row
  const uint8_t* const* b;  // of each step, column 0
  int64_t b_bytes;          // from line to line
  int64_t first_step;       // of b; a begins with it
  int64_t steps;
  float* c;
  int64_t c_bytes;
};

// 17 to 32 rows, 32 columns from `column` on. `kAdd`: C is added to.
template <bool kAdd>
inline void MultiplyWideSteps(const StepProduct& product, int64_t column) {
  auto* const upper_c = reinterpret_cast<uint8_t*>(product.c + column);
  uint8_t* const lower_c = upper_c + kTileRows * product.c_bytes;
  if constexpr (kAdd) {
    _tile_loadd(0, upper_c, product.c_bytes);
    _tile_loadd(1, upper_c + 64, product.c_bytes);
    _tile_loadd(2, lower_c, product.c_bytes);
    _tile_loadd(3, lower_c + 64, product.c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const auto* const upper = static_cast<const uint8_t*>(product.a);
  const uint8_t* const lower = upper + kTileRows * product.a_bytes;
  for (int64_t step = 0; step < product.steps; ++step) {
    const uint8_t* const b = product.b[product.first_step + step] + column * 4;
    _tile_loadd(6, b, product.b_bytes);
    _tile_loadd(4, upper + step * 64, product.a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + 64, product.b_bytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, lower + step * 64, product.a_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, upper_c, product.c_bytes);
  _tile_stored(1, upper_c + 64, product.c_bytes);
  _tile_stored(2, lower_c, product.c_bytes);
  _tile_stored(3, lower_c + 64, product.c_bytes);
}

inline int64_t FirstBlockEnd(const KeyRange& keys) {
  const int64_t block_end = (keys.begin / kBlockKeys + 1) * kBlockKeys;
  return keys.end < block_end ? keys.end : block_end;
}

// Asks for a task's pages ahead of their use. With few rows they come from memory, which takes
// longer than what is done with them: so it is asked evenly, by the softmax too (measured, 7 rows x
// 520 keys, reading alone = 1: 0.81; by the products alone 0.76; by nobody 0.74). A task asks for
// what lies behind its first block, then for the first block of the thread's next task.
class PagesAhead {
 public:
  // Of work: a step of a product; a group of weights of a row is one unit.
  static constexpr int64_t kStepUnits = 8;

  explicit PagesAhead(const AttentionTask& task) : task_(&task), next_(task.next) {
    const KeyRange keys(task);
    key_ = FirstBlockEnd(keys);
    end_ = keys.end;
    int64_t lines = Lines(end_ - key_);
    if (next_ != nullptr) {
      const KeyRange next_keys(*next_);
      lines += Lines(FirstBlockEnd(next_keys) - next_keys.begin);
    }
    const int64_t stride = AttentionRowStride(task.head_dim);
    const int64_t rows = task.q_head_count * task.tokens % kMostRows;
    const int64_t groups = (keys.end - keys.begin + kWeightGroup - 1) / kWeightGroup;
    const int64_t steps_per_group = stride / kTileInputs / 2 + (stride + 63) / 64;
    const int64_t units = groups * (steps_per_group * kStepUnits + rows);
    lines_per_unit_ = (lines + units - 1) / units;
  }

  // After so much work.
  void Ask(int64_t units) {
    for (int64_t line = units * lines_per_unit_; line > 0; --line) {
      if (at_ >= row_end_ && !StartRow()) return;
      AskToRead(at_);
      at_ += 64;
    }
  }

 private:
  // Of as many keys and their values.
  int64_t Lines(int64_t keys) const { return keys * task_->head_dim * 4 / 64; }

  // Whether there is a row left.
  bool StartRow() {
    if (rows_ == 0 && !StartTile()) return false;
    --rows_;
    at_ = row_;
    row_end_ = row_ + row_bytes_;
    row_ += row_stride_;
    return true;
  }

  // The keys of a tile, then its values; of both the groups that are seen.
  bool StartTile() {
    if (key_ >= end_) {
      if (next_ == nullptr) return false;
      const KeyRange keys(*next_);
      task_ = next_;
      next_ = nullptr;
      key_ = keys.begin;
      end_ = FirstBlockEnd(keys);
    }
    const int64_t first = key_ / kWeightGroup * kWeightGroup;
    int64_t tile_end = (key_ / kKeyTile + 1) * kKeyTile;
    if (tile_end > end_) tile_end = end_;
    const int64_t positions = (tile_end - first + kWeightGroup - 1) / kWeightGroup * kWeightGroup;
    const auto page = static_cast<size_t>(first / task_->page_tokens);
    const int64_t in_page = first % task_->page_tokens;
    const int64_t slot_elements = values_ ? task_->head_dim : 2;
    row_ = static_cast<const uint8_t*>(values_ ? task_->v_pages[page] : task_->k_pages[page]) +
           (static_cast<int64_t>(task_->head_offset) + in_page * slot_elements) * 2;
    if (values_) {
      rows_ = 1;
      row_bytes_ = row_stride_ = positions * task_->head_dim * 2;
      key_ = tile_end;
    } else {
      rows_ = (task_->head_dim + 1) / 2;
      row_bytes_ = positions * 4;
      row_stride_ = task_->page_tokens * 4;
    }
    values_ = !values_;
    return true;
  }

  const AttentionTask* task_;
  const AttentionTask* next_;
  int64_t key_, end_;    // of the task, still to be asked for
  bool values_ = false;  // the keys of the tile have been
  int64_t rows_ = 0;     // left of the tile
  const uint8_t* row_ = nullptr;
  int64_t row_bytes_ = 0, row_stride_ = 0;
  const uint8_t* at_ = nullptr;
  const uint8_t* row_end_ = nullptr;
  int64_t lines_per_unit_;
};

// 1 to 16 rows, 32 columns, or 64 when kTiles is 4.
template <bool kAdd, int kTiles>
inline void MultiplyNarrowSteps(const StepProduct& product, int64_t column, PagesAhead& ahead) {
  auto* const c = reinterpret_cast<uint8_t*>(product.c + column);
  if constexpr (kAdd) {
    _tile_loadd(0, c, product.c_bytes);
    _tile_loadd(1, c + 64, product.c_bytes);
    if constexpr (kTiles == 4) {
      _tile_loadd(2, c + 128, product.c_bytes);
      _tile_loadd(3, c + 192, product.c_bytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTiles == 4) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  const auto* const a = static_cast<const uint8_t*>(product.a);
  for (int64_t step = 0; step < product.steps; ++step) {
    const uint8_t* const b = product.b[product.first_step + step] + column * 4;
    ahead.Ask(PagesAhead::kStepUnits);
    _tile_loadd(4, a + step * 64, product.a_bytes);
    _tile_loadd(5, b, product.b_bytes);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, b + 64, product.b_bytes);
    _tile_dpbf16ps(1, 4, 6);
    if constexpr (kTiles == 4) {
      _tile_loadd(7, b + 128, product.b_bytes);
      _tile_dpbf16ps(2, 4, 7);
      _tile_loadd(5, b + 192, product.b_bytes);
      _tile_dpbf16ps(3, 4, 5);
    }
  }
  _tile_stored(0, c, product.c_bytes);
  _tile_stored(1, c + 64, product.c_bytes);
  if constexpr (kTiles == 4) {
    _tile_stored(2, c + 128, product.c_bytes);
    _tile_stored(3, c + 192, product.c_bytes);
  }
}

// Columns [begin, end), multiples of 32.
template <bool kAdd>
void MultiplySteps(const StepProduct& product, int64_t rows, int64_t begin, int64_t end,
                   PagesAhead& ahead) {
  int64_t column = begin;
  if (rows > kTileRows) {
    for (; column < end; column += 32) MultiplyWideSteps<kAdd>(product, column);
    return;
  }
  for (; column + 64 <= end; column += 64) MultiplyNarrowSteps<kAdd, 4>(product, column, ahead);
  if (column < end) MultiplyNarrowSteps<kAdd, 2>(product, column, ahead);
}

struct TileScratch {
  TileScratch(void* memory, int64_t rows, int64_t head_dim)
      : stride(AttentionRowStride(head_dim)),
        scores(static_cast<float*>(memory)),
        states(scores + kMostRows * kScoreStride),
        q(reinterpret_cast<core::BFloat16*>(states + 2 * AttentionStateFloats(rows, head_dim))),
        keys(q + rows * stride),
        values(keys + kBlockKeys * stride),
        key_steps(reinterpret_cast<const uint8_t**>(values + kBlockKeys * stride)) {}

  int64_t stride;
  float* scores;              // [kMostRows, kScoreStride]
  float* states;              // two
  core::BFloat16* q;          // [rows, stride], scaled
  core::BFloat16* keys;       // [kBlockTiles][stride / 2][kKeyTile][2]
  core::BFloat16* values;     // [kBlockKeys / 2][stride][2]
  const uint8_t** key_steps;  // [kBlockTiles][stride / 32]
};

// Where the steps of a block of keys lie.
struct TileBlock {
  int64_t position;                // of the first key
  int64_t key_bytes, value_bytes;  // from line to line
  const uint8_t** keys;            // [kBlockTiles][stride / 32]
  const uint8_t* values[kBlockSteps];
};

// Tiles want whole steps of a head: pages of other heads are copied, zero padded.
inline void PadTile(const AttentionTask& task, const TileScratch& scratch, int64_t tile,
                    const uint8_t* keys, const uint8_t* values) {
  constexpr size_t kPair = 2 * sizeof(core::BFloat16);
  auto* const to_keys = reinterpret_cast<uint8_t*>(scratch.keys + tile * kKeyTile * scratch.stride);
  for (int64_t line = 0; line < scratch.stride / 2; ++line) {
    uint8_t* const to = to_keys + line * kKeyTile * kPair;
    if (line < (task.head_dim + 1) / 2) {
      __builtin_memcpy(to, keys + line * task.page_tokens * kPair, kKeyTile * kPair);
    } else {
      __builtin_memset(to, 0, kKeyTile * kPair);
    }
  }
  const auto width = static_cast<size_t>(task.head_dim) * kPair;
  const auto padded = static_cast<size_t>(scratch.stride) * kPair;
  auto* to = reinterpret_cast<uint8_t*>(scratch.values + tile * kKeyTile * scratch.stride);
  for (int64_t line = 0; line < kKeyTile / 2; ++line, to += padded) {
    __builtin_memcpy(to, values + static_cast<size_t>(line) * width, width);
    __builtin_memset(to + width, 0, padded - width);
  }
}

// The block whose first key is `position`; FirstKey() or a key behind it is in it.
inline void FindBlock(const AttentionTask& task, const TileScratch& scratch, int64_t position,
                      TileBlock* block) {
  const bool padded = task.head_dim != scratch.stride;
  const int64_t steps = scratch.stride / kTileInputs;
  block->position = position;
  block->key_bytes = (padded ? kKeyTile : task.page_tokens) * 4;
  block->value_bytes = scratch.stride * 4;
  block->keys = scratch.key_steps;
  const int64_t first = (task.FirstKey() - position) / kKeyTile;
  const int64_t last = (task.EndKey() - 1 - position) / kKeyTile;
  for (int64_t tile = first > 0 ? first : 0; tile < kBlockTiles; ++tile) {
    const int64_t at = position + (tile < last ? tile : last) * kKeyTile;
    const auto page = static_cast<size_t>(at / task.page_tokens);
    const int64_t slot = at % task.page_tokens;
    const auto* keys = static_cast<const uint8_t*>(task.k_pages[page]) +
                       (task.head_offset + static_cast<size_t>(slot * 2)) * sizeof(core::BFloat16);
    const auto* values =
        static_cast<const uint8_t*>(task.v_pages[page]) +
        (task.head_offset + static_cast<size_t>(slot * task.head_dim)) * sizeof(core::BFloat16);
    if (padded) {
      PadTile(task, scratch, tile, keys, values);
      keys = reinterpret_cast<const uint8_t*>(scratch.keys + tile * kKeyTile * scratch.stride);
      values = reinterpret_cast<const uint8_t*>(scratch.values + tile * kKeyTile * scratch.stride);
    }
    for (int64_t step = 0; step < steps; ++step) {
      block->keys[tile * steps + step] = keys + step * kTileInputs / 2 * block->key_bytes;
    }
    block->values[tile * 2] = values;
    block->values[tile * 2 + 1] = values + kTileInputs / 2 * block->value_bytes;
  }
}

// Adds a block of keys to `count` <= 32 rows of the task, `row` being the first.
inline void AttendRows(const AttentionTask& task, const TileScratch& scratch,
                       const TileBlock& block, int64_t row, int64_t count, TileShapes& shapes,
                       PagesAhead& ahead, const AttentionState& state) {
  const Seen together = SeenTogether(task, row, count, block.position, kBlockKeys);
  const int64_t begin = together.begin(), end = together.end();
  if (begin >= end) return;

  shapes.Set(count);
  const int64_t key_steps = scratch.stride / kTileInputs;
  for (int64_t tile = begin / kKeyTile; tile * kKeyTile < end; ++tile) {
    const int64_t column = tile * kKeyTile;
    MultiplySteps<false>(
        {scratch.q + row * scratch.stride, scratch.stride * 2, block.keys, block.key_bytes,
         tile * key_steps, key_steps, scratch.scores + column, kScoreBytes},
        count, begin > column ? begin - column : 0,
        end - column < kKeyTile ? end - column : kKeyTile, ahead);
  }
  Seen seen[kMostRows];
  FindSeen(task, row, count, block.position + begin, end - begin, seen);
  SoftmaxRows<PairWeights>(scratch.scores + begin, kScoreStride, seen, count, end - begin, state,
                           row, [&] {
                             if (count <= kTileRows) ahead.Ask((end - begin) / kWeightGroup);
                           });
  __asm__ volatile("" : : : "memory");  // g++'s tile loads do not say that they read memory
  MultiplySteps<true>(
      {scratch.scores + begin, kScoreBytes, block.values, block.value_bytes, begin / kTileInputs,
       (end - begin) / kTileInputs, state.sums + row * state.stride, state.stride * 4},
      count, 0, state.stride, ahead);
}

inline void AttentionTiles(const AttentionTask& task, void* memory) {
  const int64_t rows = task.q_head_count * task.tokens;
  const TileScratch scratch(memory, rows, task.head_dim);
  LoadQueries(task, scratch.q, scratch.stride);
  TileShapes shapes;
  TileBlock block;
  PagesAhead ahead(task);
  ForEachSegment(task, scratch.states, [&](int64_t segment, const AttentionState& state) {
    for (int64_t i = 0; i < kAttentionSegment / kBlockKeys; ++i) {
      const int64_t position = segment * kAttentionSegment + i * kBlockKeys;
      if (position + kBlockKeys <= task.FirstKey() || position >= task.EndKey()) continue;
      FindBlock(task, scratch, position, &block);
      for (int64_t row = 0; row < rows; row += kMostRows) {
        AttendRows(task, scratch, block, row, rows - row < kMostRows ? rows - row : kMostRows,
                   shapes, ahead, state);
      }
    }
  });
}
