// Attention of one task with fused multiply-adds, f32 throughout. Included after gemm-inl.h and
// attention_state-inl.h, in their target region.
//
// Tiles are 64 keys and start at multiples of 64, so that a row meets the same tiles whatever else
// is in the task; a tile of which it sees nothing leaves it unchanged.

struct AttentionScratch {
  AttentionScratch(void* memory, int64_t rows, int64_t head_dim)
      : stride(AttentionRowStride(head_dim)),
        q(static_cast<float*>(memory)),
        scores(q + rows * stride),
        states(scores + rows * kKeyTile) {}

  int64_t stride;
  float* q;       // [rows, stride], scaled
  float* scores;  // [rows, kKeyTile]
  float* states;  // two
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
// vector of B is copied.
template <typename Operand>
void MultiplyMatrix(int64_t rows, const float* a, int64_t a_stride, const typename Operand::B* b,
                    int64_t b_stride, int64_t steps, int64_t cols, float* c, int64_t c_stride) {
  constexpr int kPer = Operand::kPerStep;
  constexpr int kWide = MostRows<Operand, 64 / kLanes>() >= 4 ? 64 / kLanes : 16 / kLanes;
  int64_t col = 0;
  for (; col + kWide * kLanes <= cols; col += kWide * kLanes) {
    MultiplyRows<Operand, kWide>(rows, a, a_stride, b + col * kPer, b_stride, steps, c + col,
                                 c_stride);
  }
  for (; col + kLanes <= cols; col += kLanes) {
    MultiplyRows<Operand, 1>(rows, a, a_stride, b + col * kPer, b_stride, steps, c + col, c_stride);
  }
  if (col < cols) {
    typename Operand::B strip[kKeyTile * kLanes] = {};
    for (int64_t step = 0; step < steps; ++step) {
      __builtin_memcpy(strip + step * kLanes * kPer, b + step * b_stride + col * kPer,
                       static_cast<size_t>((cols - col) * kPer) * sizeof(*b));
    }
    MultiplyRows<Operand, 1>(rows, a, a_stride, strip, kLanes * kPer, steps, c + col, c_stride);
  }
}

// Adds the keys of the tile that starts at `tile`. Operand: one step of it is kPerStep elements of
// a head for the keys, kPerStep positions for the values.
template <typename Operand>
void AttendTile(const AttentionTask& task, const AttentionScratch& scratch, int64_t tile,
                const AttentionState& state) {
  constexpr int kPer = Operand::kPerStep;
  using T = typename Operand::B;
  const int64_t rows = task.q_head_count * task.tokens;
  const auto page = static_cast<size_t>(tile / task.page_tokens);
  const int64_t slot = tile % task.page_tokens;
  const T* const keys = static_cast<const T*>(task.k_pages[page]) + task.head_offset + slot * kPer;
  const T* const values =
      static_cast<const T*>(task.v_pages[page]) + task.head_offset + slot * task.head_dim;

  // What some row sees of the tile lies in [begin, end), whole groups.
  const int64_t first = task.FirstKey() - tile;
  const int64_t begin = first > 0 ? first / kWeightGroup * kWeightGroup : 0;
  const int64_t last = task.EndKey() - tile;
  const int64_t end =
      last < kKeyTile ? (last + kWeightGroup - 1) / kWeightGroup * kWeightGroup : kKeyTile;
  for (int64_t row = 0; row < rows; ++row) {
    FloatWeights::Clear(scratch.scores + row * kKeyTile, begin, end);
  }
  MultiplyMatrix<Operand>(rows, scratch.q, scratch.stride, keys + begin * kPer,
                          task.page_tokens * kPer, (task.head_dim + kPer - 1) / kPer, end - begin,
                          scratch.scores + begin, kKeyTile);
  for (int64_t row = 0; row < rows; row += kSoftmaxRows) {
    const int64_t count = rows - row < kSoftmaxRows ? rows - row : kSoftmaxRows;
    Seen seen[kSoftmaxRows];
    FindSeen(task, row, count, tile + begin, end - begin, seen);
    SoftmaxRows<FloatWeights>(scratch.scores + row * kKeyTile + begin, kKeyTile, seen, count,
                              end - begin, state, row, [] {});
  }
  MultiplyMatrix<Operand>(rows, scratch.scores + begin, kKeyTile, values + begin * task.head_dim,
                          task.head_dim * kPer, (end - begin) / kPer, task.head_dim, state.sums,
                          state.stride);
}

template <typename Operand>
void AttentionRows(const AttentionTask& task, void* memory) {
  const AttentionScratch scratch(memory, task.q_head_count * task.tokens, task.head_dim);
  LoadQueries(task, scratch.q, scratch.stride);
  ForEachSegment(task, scratch.states, [&](int64_t segment, const AttentionState& state) {
    const int64_t begin = segment * kAttentionSegment;
    const int64_t first = task.FirstKey() > begin ? task.FirstKey() / kKeyTile * kKeyTile : begin;
    for (int64_t tile = first; tile < begin + kAttentionSegment && tile < task.EndKey();
         tile += kKeyTile) {
      AttendTile<Operand>(task, scratch, tile, state);
    }
  });
}
