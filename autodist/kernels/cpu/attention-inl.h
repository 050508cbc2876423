// Attention of one task, key tile by key tile. Included after gemm-inl.h, in its target region.
//
// Rows are (q head, token) pairs, heads outermost. Tiles are at most 64 keys and start at multiples
// of 64 within a page, so that a row meets the same tiles whatever else is in the task; a tile of
// which it sees nothing leaves it unchanged.

constexpr int64_t kTile = 64;

struct AttentionScratch {
  AttentionScratch(void* memory, int64_t rows, int64_t head_dim)
      : row_stride((head_dim + 15) / 16 * 16),
        q(static_cast<float*>(memory)),
        sums(q + rows * row_stride),
        scores(sums + rows * row_stride),
        max(scores + rows * kTile),
        denominator(max + rows) {}

  int64_t row_stride;  // head_dim rounded up, so that whole vectors fit
  float* q;            // [rows, row_stride], scaled
  float* sums;         // [rows, row_stride], of exp(score - max) * value
  float* scores;       // [rows, kTile]
  float* max;          // [rows]
  float* denominator;  // [rows]
};

// Finite, so that max - max is never infinity - infinity; no score of a float model is below it.
constexpr float kLowest = -1e30f;

// C[rows, cols] += A[rows, steps] * B[steps, cols] in strips of whole vectors; a last partial
// vector of B is copied.
template <typename T>
void MultiplyMatrix(int64_t rows, const float* a, int64_t a_stride, const T* b, int64_t b_stride,
                    int64_t steps, int64_t cols, float* c, int64_t c_stride) {
  constexpr int kWide = MostRows<RowOperand<T>, 64 / kLanes>() >= 4 ? 64 / kLanes : 16 / kLanes;
  int64_t col = 0;
  for (; col + kWide * kLanes <= cols; col += kWide * kLanes) {
    MultiplyRows<RowOperand<T>, kWide>(rows, a, a_stride, b + col, b_stride, steps, c + col,
                                       c_stride);
  }
  for (; col + kLanes <= cols; col += kLanes) {
    MultiplyRows<RowOperand<T>, 1>(rows, a, a_stride, b + col, b_stride, steps, c + col, c_stride);
  }
  if (col < cols) {
    float strip[kTile * kLanes];
    for (int64_t step = 0; step < steps; ++step)
      Store(LoadN(b + step * b_stride + col, cols - col), strip + step * kLanes);
    MultiplyRows<RowOperand<float>, 1>(rows, a, a_stride, strip, kLanes, steps, c + col, c_stride);
  }
}

// Turns the scores of one row into weights: exp(score - max) within [first, last) of the tile, else
// 0. Updates the row's maximum and denominator and rescales its sums.
inline void SoftmaxTile(float* scores, int64_t first, int64_t last, int64_t width, float* max,
                        float* denominator, float* sums, int64_t sums_width) {
  const Vec low = Broadcast(static_cast<float>(first) - 0.5f);
  const Vec high = Broadcast(static_cast<float>(last) - 0.5f);
  Vec largest = Broadcast(*max);
  for (int64_t i = 0; i < width; i += kLanes) {
    const Vec lane = Iota() + Broadcast(static_cast<float>(i));
    const Vec score = Select(And(Less(low, lane), Less(lane, high)), Load(scores + i),
                             Broadcast(-__builtin_inff()));
    Store(score, scores + i);
    largest = Max(largest, score);
  }
  const float new_max = MaxLane(largest);
  if (new_max == -__builtin_inff()) {  // the row sees none of the tile, nor anything before it
    for (int64_t i = 0; i < width; i += kLanes) Store(Zero(), scores + i);
    return;
  }
  const Vec shift = Broadcast(new_max);
  Vec total = Zero();
  for (int64_t i = 0; i < width; i += kLanes) {
    const Vec weight = Exp(Load(scores + i) - shift);
    Store(weight, scores + i);
    total = total + weight;
  }
  if (new_max != *max) {
    float lanes[kLanes];
    Store(Exp(Broadcast(*max - new_max)), lanes);
    const Vec factor = Broadcast(lanes[0]);
    for (int64_t i = 0; i < sums_width; i += kLanes) Store(Load(sums + i) * factor, sums + i);
    *denominator *= lanes[0];
    *max = new_max;
  }
  *denominator += Sum(total);
}

// Keys [first, first + width) of the page, whose first key is position `page_position`.
template <typename T>
void AttendTile(const AttentionTask& task, const AttentionScratch& scratch, const T* keys,
                const T* values, int64_t tile_position, int64_t width) {
  const int64_t rows = task.q_head_count * task.tokens;
  // What the task's tokens see of the tile: [begin, end).
  const int64_t last_token = task.position + task.tokens - 1;
  const int64_t end =
      last_token + 1 - tile_position < width ? last_token + 1 - tile_position : width;
  const int64_t window_begin =
      task.window > 0 ? task.position - task.window + 1 - tile_position : 0;
  const int64_t begin = window_begin > 0 ? window_begin : 0;
  const int64_t scored = (end + kLanes - 1) / kLanes * kLanes;

  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < scored; i += kLanes) Store(Zero(), scratch.scores + row * kTile + i);
  }
  MultiplyMatrix(rows, scratch.q, scratch.row_stride, keys, task.page_tokens, task.head_dim, scored,
                 scratch.scores, kTile);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t position = task.position + row % task.tokens;
    const int64_t last = position + 1 - tile_position;
    const int64_t first = task.window > 0 ? position - task.window + 1 - tile_position : 0;
    SoftmaxTile(scratch.scores + row * kTile, first, last, scored, scratch.max + row,
                scratch.denominator + row, scratch.sums + row * scratch.row_stride,
                scratch.row_stride);
  }
  MultiplyMatrix(rows, scratch.scores + begin, kTile, values + begin * task.head_dim, task.head_dim,
                 end - begin, task.head_dim, scratch.sums, scratch.row_stride);
}

inline void LoadQueries(const AttentionTask& task, const AttentionScratch& scratch) {
  const Vec scale = Broadcast(task.scale);
  for (int64_t row = 0; row < task.q_head_count * task.tokens; ++row) {
    const int64_t head = task.q_heads[row / task.tokens];
    const float* const from = task.q + (row % task.tokens) * task.q_stride + head * task.head_dim;
    float* const to = scratch.q + row * scratch.row_stride;
    ForEachVector(task.head_dim, [&](int64_t i, auto lanes) {
      lanes.Write(lanes.Read(from + i) * scale, to + i);
    });
    for (int64_t i = 0; i < scratch.row_stride; i += kLanes)
      Store(Zero(), scratch.sums + row * scratch.row_stride + i);
    scratch.max[row] = kLowest;
    scratch.denominator[row] = 0;
  }
}

template <typename Out>
void StoreResults(const AttentionTask& task, const AttentionScratch& scratch) {
  for (int64_t row = 0; row < task.q_head_count * task.tokens; ++row) {
    const int64_t head = task.q_heads[row / task.tokens];
    Out* const to =
        static_cast<Out*>(task.out) + (row % task.tokens) * task.out_stride + head * task.head_dim;
    const float* const from = scratch.sums + row * scratch.row_stride;
    const Vec factor = Broadcast(1.0f / scratch.denominator[row]);
    ForEachVector(task.head_dim, [&](int64_t i, auto lanes) {
      lanes.Write(lanes.Read(from + i) * factor, to + i);
    });
  }
}

template <typename T>
void AttendPages(const AttentionTask& task, const AttentionScratch& scratch) {
  const int64_t end = task.position + task.tokens;  // keys [begin, end) are seen by some row
  const int64_t window_begin = task.window > 0 ? task.position - task.window + 1 : 0;
  const int64_t begin = window_begin > 0 ? window_begin : 0;
  for (int64_t page = begin / task.page_tokens; page * task.page_tokens < end; ++page) {
    const T* const keys = static_cast<const T*>(task.k_pages[page]) + task.head_offset;
    const T* const values = static_cast<const T*>(task.v_pages[page]) + task.head_offset;
    for (int64_t offset = 0; offset < task.page_tokens; offset += kTile) {
      const int64_t position = page * task.page_tokens + offset;
      const int64_t width = task.page_tokens - offset < kTile ? task.page_tokens - offset : kTile;
      if (position + width <= begin || position >= end) continue;
      AttendTile(task, scratch, keys + offset, values + offset * task.head_dim, position, width);
    }
  }
}

inline void AttentionRows(const AttentionTask& task, void* memory) {
  const AttentionScratch scratch(memory, task.q_head_count * task.tokens, task.head_dim);
  LoadQueries(task, scratch);
  if (task.page_dtype == core::DType::kF32) {
    AttendPages<float>(task, scratch);
  } else {
    AttendPages<core::BFloat16>(task, scratch);
  }
  if (task.out_dtype == core::DType::kF32) {
    StoreResults<float>(task, scratch);
  } else {
    StoreResults<core::BFloat16>(task, scratch);
  }
}
