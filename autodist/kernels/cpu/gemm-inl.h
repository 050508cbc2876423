// Register-blocked matrix products, and Linear() on them. Included after math-inl.h and a
// definition of kPrefetchBytes and kBlocksAtOnce, in its target region.

// What a product asks the memory for, step by step.

// B that is read once: kPrefetchBytes ahead of its use; 0 leaves that to the hardware. Intel's
// prefetchers end at each 4 KiB page, and with few rows asking takes reading weights from 80 % to
// 100 % of the memory's speed.
struct AskForOwn {
  template <int V>
  void Step(const void* b) {
    if constexpr (kPrefetchBytes > 0) {
#pragma GCC unroll 8
      for (int line = 0; line < V * static_cast<int>(sizeof(Vec)); line += 64)
        __builtin_prefetch(static_cast<const uint8_t*>(b) + kPrefetchBytes + line);
    }
  }
  void EndPass() {}
};

struct AskForNothing {
  template <int V>
  void Step(const void*) {}
  void EndPass() {}
};

struct Memory {
  const void* first = nullptr;
  int64_t bytes = 0;
};

// What is multiplied next, evenly over the steps of what is multiplied now: of the passes over B,
// only the first would find it in memory, and would wait for it while the others wait for nothing.
// Into the second-level cache: a first-level one has too few lines under way (Zen 4, attention of
// 32 sequences: 0.86 of reading; 0.56 asking for the first level; 0.46 without).
class AskForNext {
 public:
  // `steps`: of all passes together.
  AskForNext(const Memory& next, int64_t steps)
      : at_(static_cast<const uint8_t*>(next.first)),
        end_(at_ + next.bytes),
        lines_per_step_((next.bytes + 64 * steps - 1) / (64 * steps)) {}

  template <int V>
  void Step(const void*) {
    for (int64_t i = 0; i < lines_per_step_; ++i, at_ += 64) __builtin_prefetch(at_, 0, 2);
  }
  void EndPass() {
    if (at_ >= end_) lines_per_step_ = 0;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  int64_t lines_per_step_;
};

// C[R, V * kLanes] += A[R, steps] * B[steps, V * kLanes], where `Operand` says what one step of A
// and B is. Each element of C is one chain of fused multiply-adds in the order of the steps, so
// blocking never changes its bits.
template <typename Operand, int R, int V, typename Ask>
inline void MultiplyBlock(const typename Operand::A* a, int64_t a_stride,
                          const typename Operand::B* b, int64_t b_stride, int64_t steps, float* c,
                          int64_t c_stride, Ask& ask_of_caller) {
  Ask ask = ask_of_caller;  // stays in registers
  Vec sums[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[r][v] = Load(c + r * c_stride + v * kLanes);
  }
  for (int64_t step = 0; step < steps; ++step) {
    typename Operand::Loaded loaded[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) loaded[v] = Operand::LoadB(b + v * kLanes * Operand::kPerStep);
    ask.template Step<V>(b);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) Operand::template MultiplyAdd<V>(a + r * a_stride, loaded, sums[r]);
    a += Operand::kPerStep;
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) Store(sums[r][v], c + r * c_stride + v * kLanes);
  }
  ask.EndPass();
  ask_of_caller = ask;
}

// A is f32, B rows of T: one input per step.
template <typename T>
struct RowOperand {
  using A = float;
  using B = T;
  using Loaded = Vec;
  static constexpr int kPerStep = 1;
  static Loaded LoadB(const B* b) { return Load(b); }
  template <int V>
  static void MultiplyAdd(const A* a, const Loaded* b, Vec* sums) {
    const Vec value = Broadcast(*a);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[v] = Fma(value, b[v], sums[v]);
  }
};

// A is f32, B pairs of bf16: two inputs per step, the even one first.
struct WidenedPairOperand {
  using A = float;
  using B = core::BFloat16;
  struct Loaded {
    Vec even, odd;
  };
  static constexpr int kPerStep = 2;
  static Loaded LoadB(const B* b) {
    const Pairs pairs = LoadPairs(b);
    return {Even(pairs), Odd(pairs)};
  }
  template <int V>
  static void MultiplyAdd(const A* a, const Loaded* b, Vec* sums) {
    const Vec even = Broadcast(a[0]);
    const Vec odd = Broadcast(a[1]);
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[v] = Fma(odd, b[v].odd, Fma(even, b[v].even, sums[v]));
  }
};

// The most rows that a block of V vectors wide keeps in registers beside B and one value of A.
template <typename Operand, int V>
constexpr int MostRows() {
  constexpr int kForB = V * static_cast<int>(sizeof(typename Operand::Loaded) / sizeof(Vec));
  constexpr int kRows = (kVectorRegisters - kForB - Operand::kPerStep) / V;
  return kRows < 1 ? 1 : kRows > 6 ? 6 : kRows;
}

// MultiplyBlock for a number of rows that is known at run time only.
template <typename Operand, int V, int R = MostRows<Operand, V>(), typename Ask>
inline void MultiplyRows(int64_t rows, const typename Operand::A* a, int64_t a_stride,
                         const typename Operand::B* b, int64_t b_stride, int64_t steps, float* c,
                         int64_t c_stride, Ask& ask) {
  for (; rows >= R; rows -= R) {
    MultiplyBlock<Operand, R, V>(a, a_stride, b, b_stride, steps, c, c_stride, ask);
    a += R * a_stride;
    c += R * c_stride;
  }
  if constexpr (R > 1) {
    if (rows > 0)
      MultiplyRows<Operand, V, R - 1>(rows, a, a_stride, b, b_stride, steps, c, c_stride, ask);
  }
}
// How often it reads B.
template <typename Operand, int V>
constexpr int64_t PassesOf(int64_t rows) {
  return (rows + MostRows<Operand, V>() - 1) / MostRows<Operand, V>();
}

// The vectors of a block that are multiplied together. One row keeps the whole block's width in
// registers; more rows take it in strips, where registers would not do for both.
template <typename Operand>
constexpr int StripVectors() {
  constexpr int kFull = PackedLayout::kBlock / kLanes;
  return MostRows<Operand, kFull>() >= 4 ? kFull : 16 / kLanes;
}
// Up to so many rows are multiplied in one pass over a block.
template <typename Operand>
constexpr int64_t RowsOfOnePass() {
  constexpr int kFull = PackedLayout::kBlock / kLanes;
  return StripVectors<Operand>() == kFull ? MostRows<Operand, kFull>() : 1;
}

// C[rows, 64] += A * B for a block of a packed weight; `next` is the B of the next such product.
template <typename Operand>
void MultiplyPacked(int64_t rows, const typename Operand::A* a, int64_t a_stride,
                    const typename Operand::B* b, int64_t steps, float* c, const Memory& next) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  constexpr int kFull = kBlock / kLanes;
  constexpr int kStrip = StripVectors<Operand>();
  constexpr int64_t kStride = kBlock * Operand::kPerStep;
  if (rows <= RowsOfOnePass<Operand>()) {
    AskForOwn ask;
    constexpr int kMost = RowsOfOnePass<Operand>();
    return MultiplyRows<Operand, kFull, kMost>(rows, a, a_stride, b, kStride, steps, c, kBlock,
                                               ask);
  }
  AskForNext ask(next, PassesOf<Operand, kStrip>(rows) * (kFull / kStrip) * steps);
  for (int v = 0; v < kFull; v += kStrip) {
    MultiplyRows<Operand, kStrip>(rows, a, a_stride, b + v * kLanes * Operand::kPerStep, kStride,
                                  steps, c + v * kLanes, kBlock, ask);
  }
}

// C[S][1, 64] += A * S blocks, a few steps of one after a few of the other: a CPU whose prefetchers
// follow a stream no further than its page reads several of them faster (Zen 3, two threads: four
// streams 1.42 times the rate of one). Each element of C is the same chain as in MultiplyPacked().
template <typename Operand, int S>
inline void MultiplyInTurns(const typename Operand::A* a, const typename Operand::B* const* b,
                            int64_t steps, float* c) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  constexpr int kFull = kBlock / kLanes;
  constexpr int64_t kStride = kBlock * Operand::kPerStep;
  constexpr int64_t kTurnSteps = 4 / Operand::kPerStep;
  AskForNothing ask;
  const auto turn = [&](int64_t step, int64_t count) {
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      MultiplyBlock<Operand, 1, kFull>(a + step * Operand::kPerStep, 0, b[s] + step * kStride,
                                       kStride, count, c + s * kBlock, kBlock, ask);
    }
  };
  int64_t step = 0;
  for (; step + kTurnSteps <= steps; step += kTurnSteps) turn(step, kTurnSteps);
  if (step < steps) turn(step, steps - step);
}

// The share of one thread. A chunk of rows is multiplied with one slab (kSlab inputs of a block)
// after the other; sums stay in `scratch` meanwhile, which lets one epilogue care for bias,
// accumulation and partly filled blocks.

// y = sums (+ bias) (+ y) for some rows and outputs of the task; `sums` is [rows, stride].
inline void FinishRows(const LinearTask& task, int64_t first_row, int64_t rows,
                       int64_t first_output, int64_t outputs, const float* sums, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    float* const y = task.y + (first_row + row) * task.y_stride + first_output;
    ForEachVector(outputs, [&](int64_t i, auto lanes) {
      Vec value = lanes.Read(sums + row * stride + i);
      if (task.bias != nullptr) value = value + lanes.Read(task.bias + first_output + i);
      if (task.accumulate) value = value + lanes.Read(y + i);
      lanes.Write(value, y + i);
    });
  }
}
inline void FinishBlock(const LinearTask& task, int64_t first_row, int64_t rows,
                        int64_t first_output, const float* sums) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  const int64_t outputs =
      task.outputs - first_output < kBlock ? task.outputs - first_output : kBlock;
  FinishRows(task, first_row, rows, first_output, outputs, sums, kBlock);
}

// A slab of x as the operand wants it: f32 rows as they lie, ...
inline const float* SlabOfA(const float* x, int64_t x_stride, int64_t, int64_t, float*,
                            int64_t* a_stride) {
  *a_stride = x_stride;
  return x;
}
// ... bf16 rows as f32, with a zero after an odd number of inputs.
inline const float* SlabOfA(const core::BFloat16* x, int64_t x_stride, int64_t rows, int64_t inputs,
                            float* storage, int64_t* a_stride) {
  *a_stride = kSlab;
  for (int64_t row = 0; row < rows; ++row) {
    float* const to = storage + row * kSlab;
    ConvertTyped<core::BFloat16, float>(x + row * x_stride, to, inputs);
    if (inputs % 2 != 0) to[inputs] = 0;
  }
  return storage;
}

// ... bf16 rows as they lie too, unless a pair lacks its second input.
inline const core::BFloat16* SlabOfA(const core::BFloat16* x, int64_t x_stride, int64_t rows,
                                     int64_t inputs, core::BFloat16* storage, int64_t* a_stride) {
  if (inputs % 2 == 0) {
    *a_stride = x_stride;
    return x;
  }
  *a_stride = kSlab;
  for (int64_t row = 0; row < rows; ++row) {
    __builtin_memcpy(storage + row * kSlab, x + row * x_stride,
                     static_cast<size_t>(inputs) * sizeof(*x));
    storage[row * kSlab + inputs] = {0};
  }
  return storage;
}

// The inputs of a slab. What is multiplied in one pass finds nothing in the cache again, and with
// all inputs at once its sums never leave the registers; an odd last input is a slab of its own.
template <typename X, typename Operand>
int64_t SlabInputs(const LinearTask& task) {
  constexpr bool kAsItLies = sizeof(X) == sizeof(typename Operand::A);
  const int64_t whole_steps = task.k / Operand::kPerStep * Operand::kPerStep;
  if (kAsItLies && task.rows <= RowsOfOnePass<Operand>() && whole_steps > kSlab) return whole_steps;
  return kSlab;
}

// body(first, count) for `blocks` in groups of at most `most`, as even as can be.
template <typename Body>
inline void ForEachGroup(int64_t blocks, int64_t most, const Body& body) {
  const int64_t groups = (blocks + most - 1) / most;
  for (int64_t i = 0; i < groups; ++i)
    body(blocks * i / groups, blocks * (i + 1) / groups - blocks * i / groups);
}

// Multiplies rows of a task by whole blocks. `memory`: a slab of them as the operand wants it.
template <typename X, typename Operand>
class RowMultiplier {
 public:
  using A = typename Operand::A;
  using B = typename Operand::B;

  RowMultiplier(const LinearTask& task, float* memory)
      : task_(task), slab_(SlabInputs<X, Operand>(task)), storage_(reinterpret_cast<A*>(memory)) {}

  // The block of the weight that starts with `output`.
  const B* Block(int64_t output) const {
    return reinterpret_cast<const B*>(static_cast<const uint8_t*>(task_.weight) +
                                      static_cast<size_t>(output / kBlock) * task_.block_bytes);
  }

  // sums [count][rows, 64] = x * blocks. `next`: the block that is multiplied afterwards, or
  // nullptr. REQUIRES count at most kMostBlocks.
  void Multiply(int64_t first_row, int64_t rows, const B* const* blocks, int64_t count,
                const B* next, float* sums) const {
    const X* const x = static_cast<const X*>(task_.x) + first_row * task_.x_stride;
    __builtin_memset(sums, 0, static_cast<size_t>(count * rows * kBlock) * sizeof(float));
    for (int64_t k = 0; k < task_.k; k += slab_) {
      const int64_t inputs = task_.k - k < slab_ ? task_.k - k : slab_;
      int64_t a_stride = 0;
      const A* const a = SlabOfA(x + k, task_.x_stride, rows, inputs, storage_, &a_stride);
      const int64_t steps = (inputs + Operand::kPerStep - 1) / Operand::kPerStep;
      const B* slabs[kMostBlocks];
      for (int64_t i = 0; i < count; ++i) slabs[i] = blocks[i] + k * kBlock;
      if (rows == 1 && InTurns(a, slabs, count, steps, sums)) continue;
      const Memory after = k + slab_ < task_.k ? Slab(blocks[0], k + slab_) : Slab(next, 0);
      for (int64_t i = 0; i < count; ++i) {
        MultiplyPacked<Operand>(rows, a, a_stride, slabs[i], steps, sums + i * rows * kBlock,
                                i + 1 < count ? Slab(blocks[i + 1], k) : after);
      }
    }
  }

 private:
  static constexpr int64_t kBlock = PackedLayout::kBlock;

  // One row by several blocks, where that is faster than one block after the other.
  static bool InTurns(const A* a, const B* const* slabs, int64_t count, int64_t steps,
                      float* sums) {
    if constexpr (kBlocksAtOnce == 1) return false;
    if (count == 4) return MultiplyInTurns<Operand, 4>(a, slabs, steps, sums), true;
    if (count == 3) return MultiplyInTurns<Operand, 3>(a, slabs, steps, sums), true;
    if (count == 2) return MultiplyInTurns<Operand, 2>(a, slabs, steps, sums), true;
    return false;
  }

  // The slab of a block that begins with input k.
  Memory Slab(const B* block, int64_t k) const {
    if (block == nullptr) return {};
    const int64_t inputs = task_.k - k < slab_ ? task_.k - k : slab_;
    return {block + k * kBlock, inputs * kBlock * static_cast<int64_t>(sizeof(B))};
  }

  const LinearTask& task_;
  int64_t slab_;
  A* storage_;
};

// body(first row, rows) for a task's chunks of rows.
template <typename Body>
inline void ForEachRowChunk(const LinearTask& task, const Body& body) {
  for (int64_t row = 0; row < task.rows; row += kRowChunk)
    body(row, task.rows - row < kRowChunk ? task.rows - row : kRowChunk);
}

template <typename X, typename Operand>
void LinearRows(const LinearTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const sums = static_cast<float*>(scratch);
  const RowMultiplier<X, Operand> product(task, sums + kMostBlocks * kRowChunk * kBlock);
  const int64_t all_blocks = (task.outputs + kBlock - 1) / kBlock;
  ForEachGroup(all_blocks, kBlocksAtOnce, [&](int64_t first, int64_t count) {
    const typename Operand::B* blocks[kMostBlocks];
    for (int64_t i = 0; i < count; ++i) blocks[i] = product.Block((first + i) * kBlock);
    const auto* const next =
        first + count < all_blocks ? product.Block((first + count) * kBlock) : nullptr;
    ForEachRowChunk(task, [&](int64_t row, int64_t rows) {
      product.Multiply(row, rows, blocks, count, row + rows < task.rows ? blocks[0] : next, sums);
      for (int64_t i = 0; i < count; ++i)
        FinishBlock(task, row, rows, (first + i) * kBlock, sums + i * rows * kBlock);
    });
  });
}

// y = act(gate + bias) * (up + bias) for some rows and `width` outputs from `output` on; gate and
// up are [rows, width].
inline void FinishGated(const GatedTask& task, int64_t first_row, int64_t rows, int64_t output,
                        int64_t width, float* gate, float* up) {
  for (int64_t row = 0; row < rows; ++row) {
    if (task.linear.bias != nullptr) {
      AddRow(task.linear.bias + output, gate + row * width, width);
      AddRow(task.linear.bias + output + task.up_outputs, up + row * width, width);
    }
    const int64_t at = (first_row + row) * task.y_stride + output - task.first_output;
    void* const y = task.dtype == core::DType::kF32
                        ? static_cast<void*>(static_cast<float*>(task.y) + at)
                        : static_cast<core::BFloat16*>(task.y) + at;
    ActivateRow(task.kind, gate + row * width, up + row * width, task.dtype, y, width);
  }
}

// Blocks of gates and their ups together: sums of both are still in the cache when they meet.
template <typename X, typename Operand>
void LinearGatedRows(const GatedTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  constexpr int64_t kPairsAtOnce = kBlocksAtOnce == 1 ? 1 : kBlocksAtOnce / 2;
  auto* const sums = static_cast<float*>(scratch);
  const RowMultiplier<X, Operand> product(task.linear, sums + kMostBlocks * kRowChunk * kBlock);
  const int64_t all_gates = task.linear.outputs / kBlock;
  const auto gates = [&](int64_t block) {
    return product.Block(task.first_output + block * kBlock);
  };
  ForEachGroup(all_gates, kPairsAtOnce, [&](int64_t first, int64_t count) {
    const typename Operand::B* blocks[kMostBlocks];
    for (int64_t i = 0; i < count; ++i) {
      blocks[2 * i] = gates(first + i);
      blocks[2 * i + 1] = product.Block(task.first_output + (first + i) * kBlock + task.up_outputs);
    }
    const auto* const next = first + count < all_gates ? gates(first + count) : nullptr;
    ForEachRowChunk(task.linear, [&](int64_t row, int64_t rows) {
      const bool last = row + rows >= task.linear.rows;
      product.Multiply(row, rows, blocks, 2 * count, last ? next : blocks[0], sums);
      for (int64_t i = 0; i < count; ++i) {
        float* const gate = sums + 2 * i * rows * kBlock;
        FinishGated(task, row, rows, task.first_output + (first + i) * kBlock, kBlock, gate,
                    gate + rows * kBlock);
      }
    });
  });
}
