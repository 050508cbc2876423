// What every attention kernel shares: the state of a softmax that is not finished, and rows of
// scores. Included after math-inl.h, in its target region.
//
// Rows are (q head, token) pairs, heads outermost. Keys are taken in segments of kAttentionSegment
// positions, each with a state of its own; the states are merged in the order of the segments. So
// it makes no difference whether one task walks all segments or each segment is another task's.

// The state of `rows` rows after some keys. With m = max over the keys' scores: sums = sum of
// 2^(score - m) * value, denominators = sum of 2^(score - m).
struct AttentionState {
  // `memory` holds AttentionStateFloats(rows, head_dim), aligned to 64.
  AttentionState(float* memory, int64_t rows, int64_t head_dim)
      : stride(AttentionRowStride(head_dim)),
        sums(memory),
        denominators(memory + rows * stride),
        max(denominators + rows * 16) {}

  int64_t stride;
  float* sums;          // [rows, stride]
  float* denominators;  // [rows, 16]: in kLanes parts, to be added up
  float* max;           // [rows]
};

// Below every score of a model whose weights are numbers; finite, so that max - max is a number.
constexpr float kLowest = -1e30f;

inline void ClearState(const AttentionState& state, int64_t rows) {
  for (int64_t i = 0; i < rows * state.stride; i += kLanes) Store(Zero(), state.sums + i);
  for (int64_t i = 0; i < rows * 16; i += kLanes) Store(Zero(), state.denominators + i);
  for (int64_t row = 0; row < rows; ++row) state.max[row] = kLowest;
}

// state += the keys of `later`. A state without keys changes nothing.
inline void MergeState(const AttentionState& later, int64_t rows, const AttentionState& state) {
  for (int64_t row = 0; row < rows; ++row) {
    const Vec old_max = Broadcast(state.max[row]);
    const Vec later_max = Broadcast(later.max[row]);
    const Vec new_max = Max(old_max, later_max);
    const Vec old_factor = Exp2(old_max - new_max);
    const Vec later_factor = Exp2(later_max - new_max);
    const auto merge = [&](const float* from, float* to, int64_t count) {
      for (int64_t i = 0; i < count; i += kLanes) {
        Store(Fma(Load(to + i), old_factor, Load(from + i) * later_factor), to + i);
      }
    };
    merge(later.sums + row * later.stride, state.sums + row * state.stride, state.stride);
    merge(later.denominators + row * 16, state.denominators + row * 16, kLanes);
    StoreN(new_max, state.max + row, 1);
  }
}

template <typename Out>
void StoreRows(const AttentionTask& task, const AttentionState& state) {
  for (int64_t row = 0; row < task.q_head_count * task.tokens; ++row) {
    const int64_t head = task.q_heads[row / task.tokens];
    Out* const to =
        static_cast<Out*>(task.out) + (row % task.tokens) * task.out_stride + head * task.head_dim;
    const float* const from = state.sums + row * state.stride;
    const Vec factor = Broadcast(1.0f / Sum(Load(state.denominators + row * 16)));
    ForEachVector(task.head_dim, [&](int64_t i, auto lanes) {
      lanes.Write(lanes.Read(from + i) * factor, to + i);
    });
  }
}

inline void StoreResults(const AttentionTask& task, const AttentionState& state) {
  if (task.out_dtype == core::DType::kF32) {
    StoreRows<float>(task, state);
  } else {
    StoreRows<core::BFloat16>(task, state);
  }
}

// The states of a task's segments, one after the other in memory, become its results. Spoils the
// first state.
inline void MergeAttention(const AttentionTask& task, float* states, int64_t segments) {
  const int64_t rows = task.q_head_count * task.tokens;
  const AttentionState first(states, rows, task.head_dim);
  for (int64_t segment = 1; segment < segments; ++segment) {
    float* const later = states + segment * AttentionStateFloats(rows, task.head_dim);
    MergeState(AttentionState(later, rows, task.head_dim), rows, first);
  }
  StoreResults(task, first);
}

// The q rows of a task, scaled so that 2^score is the weight; zeros up to the stride.
template <typename To>
void LoadQueries(const AttentionTask& task, To* q, int64_t stride) {
  const Vec scale = Broadcast(task.scale * 1.44269504f);
  for (int64_t row = 0; row < task.q_head_count * task.tokens; ++row) {
    const int64_t head = task.q_heads[row / task.tokens];
    const float* const from = task.q + (row % task.tokens) * task.q_stride + head * task.head_dim;
    To* const to = q + row * stride;
    for (int64_t i = task.head_dim / 16 * 16; i < stride; i += kLanes) Store(Zero(), to + i);
    ForEachVector(task.head_dim, [&](int64_t i, auto lanes) {
      lanes.Write(lanes.Read(from + i) * scale, to + i);
    });
  }
}

// The keys [begin, end) that a task walks: those that some row sees, of its segment if it has one.
struct KeyRange {
  explicit KeyRange(const AttentionTask& task) : begin(task.FirstKey()), end(task.EndKey()) {
    if (task.partial == nullptr) return;
    const int64_t first = task.segment * kAttentionSegment;
    if (begin < first) begin = first;
    if (end > first + kAttentionSegment) end = first + kAttentionSegment;
  }

  int64_t begin, end;
};

// walk(segment, state) for each segment of the task, which adds the segment's keys to the state;
// then what the task wants of the states. `memory` holds two states.
template <typename Walk>
void ForEachSegment(const AttentionTask& task, float* memory, const Walk& walk) {
  const int64_t rows = task.q_head_count * task.tokens;
  if (task.partial != nullptr) {
    const AttentionState state(task.partial, rows, task.head_dim);
    ClearState(state, rows);
    return walk(task.segment, state);
  }
  const AttentionState state(memory, rows, task.head_dim);
  const AttentionState later(memory + AttentionStateFloats(rows, task.head_dim), rows,
                             task.head_dim);
  ClearState(state, rows);
  const int64_t first = task.FirstKey() / kAttentionSegment;
  walk(first, state);
  for (int64_t segment = first + 1; segment * kAttentionSegment < task.EndKey(); ++segment) {
    ClearState(later, rows);
    walk(segment, later);
    MergeState(later, rows, state);
  }
  StoreResults(task, state);
}

// Scores become weights, 32 at a time.
constexpr int64_t kWeightGroup = 32;
constexpr int kGroupVectors = kWeightGroup / kLanes;

// Lanes of a group outside of [first, last) become kLowest.
inline void MaskGroup(float* scores, int64_t first, int64_t last) {
  const Vec low = Broadcast(static_cast<float>(first) - 0.5f);
  const Vec high = Broadcast(static_cast<float>(last) - 0.5f);
  for (int64_t i = 0; i < kWeightGroup; i += kLanes) {
    const Vec lane = Iota() + Broadcast(static_cast<float>(i));
    Store(Select(And(Less(low, lane), Less(lane, high)), Load(scores + i), Broadcast(kLowest)),
          scores + i);
  }
}

// The keys that a row sees of some neighbouring ones: [first, last).
struct Seen {
  int64_t first, last;
  // Whole groups.
  int64_t begin() const { return first / kWeightGroup * kWeightGroup; }
  int64_t end() const { return (last + kWeightGroup - 1) / kWeightGroup * kWeightGroup; }
};

// What `count` rows of the task see of the keys [key, key + keys).
inline void FindSeen(const AttentionTask& task, int64_t row, int64_t count, int64_t key,
                     int64_t keys, Seen* seen) {
  int64_t token = row % task.tokens;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t own = task.position + token - key;
    if (++token == task.tokens) token = 0;
    const int64_t first = task.FirstKeyOf(own);
    const int64_t last = own + 1 < keys ? own + 1 : keys;
    seen[i] = first < last ? Seen{first, last} : Seen{0, 0};
  }
}

// What any of these rows sees of the keys [key, key + keys), and what lies between: nothing where
// begin() >= end(). REQUIRES keys a multiple of kWeightGroup.
inline Seen SeenTogether(const AttentionTask& task, int64_t row, int64_t count, int64_t key,
                         int64_t keys) {
  const int64_t token = row % task.tokens;
  const bool one_head = token + count <= task.tokens;
  const int64_t own = task.position - key + (one_head ? token : 0);  // of the first token
  const int64_t after = own + (one_head ? count : task.tokens);
  return {.first = task.FirstKeyOf(own), .last = after < keys ? after : keys};
}

// The maximum of `max` and the scores that the row sees; those it does not see in the same groups
// become kLowest.
inline float MaxOfScores(float* scores, const Seen& seen, float max) {
  const int64_t begin = seen.begin();
  const int64_t end = seen.end();
  if (seen.first > begin) MaskGroup(scores + begin, seen.first - begin, kWeightGroup);
  if (seen.last < end) {
    MaskGroup(scores + end - kWeightGroup, 0, seen.last - (end - kWeightGroup));
  }
  Vec largest[kGroupVectors];
  for (Vec& v : largest) v = Broadcast(max);
#pragma GCC unroll 2
  for (int64_t i = begin; i < end; i += kWeightGroup) {
    for (int v = 0; v < kGroupVectors; ++v) {
      largest[v] = Max(largest[v], Load(scores + i + v * kLanes));
    }
  }
  for (int v = 1; v < kGroupVectors; ++v) largest[0] = Max(largest[0], largest[v]);
  return MaxLane(largest[0]);
}

// What the state has of the row becomes relative to a larger maximum.
inline void Rescale(const AttentionState& state, int64_t row, float new_max) {
  if (state.max[row] != kLowest) {  // else the sums are zero
    const Vec factor = Exp2(Broadcast(state.max[row]) - Broadcast(new_max));
    float* const sums = state.sums + row * state.stride;
    for (int64_t i = 0; i < state.stride; i += kLanes) Store(Load(sums + i) * factor, sums + i);
    float* const denominators = state.denominators + row * 16;
    Store(Load(denominators) * factor, denominators);
  }
  state.max[row] = new_max;
}

// Scores become weights, of `width` keys in all, and are added to the denominators.
template <typename Weights>
inline void WeightsOfScores(float* scores, const Seen& seen, int64_t width, float max,
                            float* denominators) {
  const int64_t begin = seen.begin();
  const int64_t end = seen.end();
  const Vec shift = Broadcast(max);
  Vec totals[kGroupVectors];
  for (Vec& v : totals) v = Zero();
#pragma GCC unroll 2
  for (int64_t i = begin; i < end; i += kWeightGroup) {
    Vec weights[kGroupVectors];
    for (int v = 0; v < kGroupVectors; ++v) {
      weights[v] = Weights::Of(Load(scores + i + v * kLanes) - shift);
      totals[v] = totals[v] + weights[v];
    }
    Weights::Write(weights, scores, i);
  }
  for (int v = 1; v < kGroupVectors; ++v) totals[0] = totals[0] + totals[v];
  Store(Load(denominators) + totals[0], denominators);
  Weights::Clear(scores, 0, begin);
  Weights::Clear(scores, end, width);
}

constexpr int64_t kSoftmaxRows = 32;

// Turns the scores of up to kSoftmaxRows rows into weights: 2^(score - max) of the keys that a row
// sees, 0 of the others up to `width`. `row` is the first one's place in the state, which gets the
// denominators and becomes relative to the new maxima. `Weights` says how precise weights are and
// how they are stored, in the memory of the scores. One step of all rows follows the other, so that
// no row waits for another's maximum; between() is called after each row of the last step. REQUIRES
// width a multiple of kWeightGroup.
template <typename Weights, typename Between>
inline void SoftmaxRows(float* scores, int64_t stride, const Seen* seen, int64_t count,
                        int64_t width, const AttentionState& state, int64_t row,
                        const Between& between) {
  float new_max[kSoftmaxRows];
  for (int64_t i = 0; i < count; ++i) {
    new_max[i] = MaxOfScores(scores + i * stride, seen[i], state.max[row + i]);
  }
  for (int64_t i = 0; i < count; ++i) {
    if (new_max[i] != state.max[row + i]) Rescale(state, row + i, new_max[i]);
  }
  for (int64_t i = 0; i < count; ++i) {
    const float* const sums = state.sums + (row + i) * state.stride;  // wanted next
    for (int64_t at = 0; at < state.stride; at += 16) __builtin_prefetch(sums + at);
    WeightsOfScores<Weights>(scores + i * stride, seen[i], width, new_max[i],
                             state.denominators + (row + i) * 16);
    between();
  }
}
