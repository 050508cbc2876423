// Register-blocked matrix products, and Linear() on them. Included after math-inl.h, in its target
// region.

// How far ahead of its use B is asked for. Hardware prefetching ends at each 4 KiB page; with few
// rows this takes reading weights from 80 % to 100 % of the memory's speed.
constexpr int64_t kPrefetchBytes = 4096;

// C[R, V * kLanes] += A[R, steps] * B[steps, V * kLanes], where `Operand` says what one step of A
// and B is. Each element of C is one chain of fused multiply-adds in the order of the steps, so
// blocking never changes its bits.
template <typename Operand, int R, int V>
inline void MultiplyBlock(const typename Operand::A* a, int64_t a_stride,
                          const typename Operand::B* b, int64_t b_stride, int64_t steps, float* c,
                          int64_t c_stride) {
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
#pragma GCC unroll 8
    for (int line = 0; line < V * static_cast<int>(sizeof(Vec)); line += 64) {
      __builtin_prefetch(reinterpret_cast<const uint8_t*>(b) + kPrefetchBytes + line);
    }
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
template <typename Operand, int V, int R = MostRows<Operand, V>()>
inline void MultiplyRows(int64_t rows, const typename Operand::A* a, int64_t a_stride,
                         const typename Operand::B* b, int64_t b_stride, int64_t steps, float* c,
                         int64_t c_stride) {
  for (; rows >= R; rows -= R) {
    MultiplyBlock<Operand, R, V>(a, a_stride, b, b_stride, steps, c, c_stride);
    a += R * a_stride;
    c += R * c_stride;
  }
  if constexpr (R > 1) {
    if (rows > 0)
      MultiplyRows<Operand, V, R - 1>(rows, a, a_stride, b, b_stride, steps, c, c_stride);
  }
}

// C[rows, 64] += A * B for a block of a packed weight. Few rows keep the whole block's width in
// registers and so read B once and forward; more rows take it in strips that leave registers for
// them.
template <typename Operand>
void MultiplyPacked(int64_t rows, const typename Operand::A* a, int64_t a_stride,
                    const typename Operand::B* b, int64_t steps, float* c) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  constexpr int kFull = kBlock / kLanes;
  constexpr int kStrip = MostRows<Operand, kFull>() >= 4 ? kFull : 16 / kLanes;
  constexpr int64_t kStride = kBlock * Operand::kPerStep;
  if (rows == 1) {
    return MultiplyBlock<Operand, 1, kFull>(a, a_stride, b, kStride, steps, c, kBlock);
  }
  for (int v = 0; v < kFull; v += kStrip) {
    MultiplyRows<Operand, kStrip>(rows, a, a_stride, b + v * kLanes * Operand::kPerStep, kStride,
                                  steps, c + v * kLanes, kBlock);
  }
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

template <typename X, typename Operand>
void LinearRows(const LinearTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  auto* const sums = static_cast<float*>(scratch);
  auto* const storage = reinterpret_cast<typename Operand::A*>(sums + kRowChunk * kBlock);
  for (int64_t first_output = 0; first_output < task.outputs; first_output += kBlock) {
    const auto* const block = reinterpret_cast<const typename Operand::B*>(
        static_cast<const uint8_t*>(task.weight) +
        static_cast<size_t>(first_output / kBlock) * task.block_bytes);
    for (int64_t first_row = 0; first_row < task.rows; first_row += kRowChunk) {
      const int64_t rows = task.rows - first_row < kRowChunk ? task.rows - first_row : kRowChunk;
      const X* const x = static_cast<const X*>(task.x) + first_row * task.x_stride;
      __builtin_memset(sums, 0, static_cast<size_t>(rows * kBlock) * sizeof(float));
      for (int64_t k = 0; k < task.k; k += kSlab) {
        const int64_t inputs = task.k - k < kSlab ? task.k - k : kSlab;
        int64_t a_stride = 0;
        const auto* const a = SlabOfA(x + k, task.x_stride, rows, inputs, storage, &a_stride);
        const int64_t steps = (inputs + Operand::kPerStep - 1) / Operand::kPerStep;
        MultiplyPacked<Operand>(rows, a, a_stride, block + k * kBlock, steps, sums);
      }
      FinishBlock(task, first_row, rows, first_output, sums);
    }
  }
}
