// Attention of one task on vectors. Included after gemm-inl.h and attention_state-inl.h, in their
// target region.
//
// `Operand` is that of both products, scores = q (A) * keys (B) and sums += weights (A) * values
// (B); `Weights` says how weights are computed and stored.
//
// Tiles are 64 keys and start at multiples of 64, so that a row meets the same tiles whatever else
// is in the task; a tile of which it sees nothing leaves it unchanged.

template <typename A>
struct AttentionScratch {
  AttentionScratch(void* memory, int64_t rows, int64_t head_dim)
      : stride(AttentionRowStride(head_dim)),
        scores(static_cast<float*>(memory)),
        states(scores + kSoftmaxRows * kKeyTile),
        q(reinterpret_cast<A*>(states + 2 * AttentionStateFloats(rows, head_dim))) {}

  int64_t stride;
  float* scores;  // [kSoftmaxRows, kKeyTile]
  float* states;  // two
  A* q;           // [rows, stride], scaled
};

struct FloatWeights {
  static Vec Of(Vec x) { return Exp2(x); }
  static void Write(const Vec* weights, float* scores, int64_t i) {
    for (int v = 0; v < kGroupVectors; ++v) Store(weights[v], scores + i + v * kLanes);
  }
  static void Clear(float* scores, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) Store(Zero(), scores + i);
  }
};

// C[rows, cols] += A[rows, steps] * B[steps, cols] in strips of whole vectors; a last partial
// vector of B is copied. `next` is what is multiplied next.
template <typename Operand>
void MultiplyMatrix(int64_t rows, const typename Operand::A* a, int64_t a_stride,
                    const typename Operand::B* b, int64_t b_stride, int64_t steps, int64_t cols,
                    float* c, int64_t c_stride, const Memory& next) {
  constexpr int kPer = Operand::kPerStep;
  constexpr int kWide = StripVectors<Operand>();
  const int64_t strips = (cols + kWide * kLanes - 1) / (kWide * kLanes);
  AskForNext ask(next, PassesOf<Operand, kWide>(rows) * strips * steps);
  int64_t col = 0;
  for (; col + kWide * kLanes <= cols; col += kWide * kLanes) {
    MultiplyRows<Operand, kWide>(rows, a, a_stride, b + col * kPer, b_stride, steps, c + col,
                                 c_stride, ask);
  }
  for (; col + kLanes <= cols; col += kLanes) {
    MultiplyRows<Operand, 1>(rows, a, a_stride, b + col * kPer, b_stride, steps, c + col, c_stride,
                             ask);
  }
  if (col < cols) {
    typename Operand::B strip[kKeyTile * kLanes] = {};
    for (int64_t step = 0; step < steps; ++step) {
      __builtin_memcpy(strip + step * kLanes * kPer, b + step * b_stride + col * kPer,
                       static_cast<size_t>((cols - col) * kPer) * sizeof(*b));
    }
    MultiplyRows<Operand, 1>(rows, a, a_stride, strip, kLanes * kPer, steps, c + col, c_stride,
                             ask);
  }
}

// Where a tile lies in the pages of its task.
template <typename Operand>
struct TileInPages {
  using B = typename Operand::B;
  TileInPages(const AttentionTask& task, int64_t tile) {
    const auto page = static_cast<size_t>(tile / task.page_tokens);
    const int64_t slot = tile % task.page_tokens;
    keys = static_cast<const B*>(task.k_pages[page]) + task.head_offset + slot * Operand::kPerStep;
    values = static_cast<const B*>(task.v_pages[page]) + task.head_offset + slot * task.head_dim;
  }
  const B* keys;
  const B* values;
};

// The keys that the thread wants after those of the tile, where they lie in one piece: the next
// tile's, or those of its next task's first one.
template <typename Operand>
Memory KeysAfter(const AttentionTask& task, int64_t tile) {
  constexpr int kPer = Operand::kPerStep;
  const AttentionTask* owner = &task;
  tile += kKeyTile;
  if (tile >= KeyRange(task).end) {
    if (task.next == nullptr) return {};
    owner = task.next;
    tile = KeyRange(*owner).begin / kKeyTile * kKeyTile;
  }
  if (owner->page_tokens != kKeyTile) return {};
  const int64_t elements = (owner->head_dim + kPer - 1) / kPer * kPer * kKeyTile;
  return {TileInPages<Operand>(*owner, tile).keys,
          elements * static_cast<int64_t>(sizeof(typename Operand::B))};
}

// Adds the keys of the tile that starts at `tile`. One step of the operand is kPerStep elements of
// a head for the keys, kPerStep positions for the values. Some rows at a time go through both
// products, so that their scores stay in the first-level cache. Meanwhile the memory is asked for
// the values, then for the next keys.
template <typename Operand, typename Weights>
void AttendTile(const AttentionTask& task, const AttentionScratch<typename Operand::A>& scratch,
                int64_t tile, const AttentionState& state) {
  using A = typename Operand::A;
  using B = typename Operand::B;
  constexpr int kPer = Operand::kPerStep;
  constexpr int64_t kWeightStride = kKeyTile * sizeof(float) / sizeof(A);
  const int64_t rows = task.q_head_count * task.tokens;

  const TileInPages<Operand> pages(task, tile);
  const Seen wanted = SeenTogether(task, 0, rows, tile, kKeyTile);
  const int64_t begin = wanted.begin(), end = wanted.end();
  const B* const keys = pages.keys + begin * kPer;
  const B* const values = pages.values + begin * task.head_dim;
  Memory next_values{values, (end - begin) * task.head_dim * static_cast<int64_t>(sizeof(B))};
  Memory next_keys = KeysAfter<Operand>(task, tile);
  float* const scores = scratch.scores + begin;
  for (int64_t row = 0; row < rows; row += kSoftmaxRows) {
    const int64_t count = rows - row < kSoftmaxRows ? rows - row : kSoftmaxRows;
    const Seen together = SeenTogether(task, row, count, tile, kKeyTile);
    if (together.begin() >= together.end()) continue;
    for (int64_t i = 0; i < count; ++i) FloatWeights::Clear(scores + i * kKeyTile, 0, end - begin);
    MultiplyMatrix<Operand>(count, scratch.q + row * scratch.stride, scratch.stride, keys,
                            task.page_tokens * kPer, (task.head_dim + kPer - 1) / kPer, end - begin,
                            scores, kKeyTile, next_values);
    Seen seen[kSoftmaxRows];
    FindSeen(task, row, count, tile + begin, end - begin, seen);
    SoftmaxRows<Weights>(scores, kKeyTile, seen, count, end - begin, state, row, [] {});
    MultiplyMatrix<Operand>(count, reinterpret_cast<const A*>(scores), kWeightStride, values,
                            task.head_dim * kPer, (end - begin) / kPer, task.head_dim,
                            state.sums + row * state.stride, state.stride, next_keys);
    next_values = next_keys = {};  // once for all rows
  }
}

template <typename Operand, typename Weights>
void AttentionRows(const AttentionTask& task, void* memory) {
  const AttentionScratch<typename Operand::A> scratch(memory, task.q_head_count * task.tokens,
                                                      task.head_dim);
  LoadQueries(task, scratch.q, scratch.stride);
  ForEachSegment(task, scratch.states, [&](int64_t segment, const AttentionState& state) {
    const int64_t begin = segment * kAttentionSegment;
    const int64_t first = task.FirstKey() > begin ? task.FirstKey() / kKeyTile * kKeyTile : begin;
    for (int64_t tile = first; tile < begin + kAttentionSegment && tile < task.EndKey();
         tile += kKeyTile) {
      AttendTile<Operand, Weights>(task, scratch, tile, state);
    }
  });
}
