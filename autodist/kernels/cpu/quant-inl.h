// Linear() on quantised weights, and their dequantisation. Included after gemm-inl.h and a
// quant_*-inl.h, in its target region. The memory form is described in quantise.h.

constexpr int kQuarterOutputs = 16;
constexpr int kLineBytes = 64;

// The line that holds the codes of an output.
inline const uint8_t* CodeLine(const uint8_t* group, int line, int output) {
  constexpr int kQuarters = PackedLayout::kBlock / kQuarterOutputs;
  return group + kScaleBytes + (line * kQuarters + output / kQuarterOutputs) * kLineBytes;
}

// Codes are asked for twice, as memory is faster when the second-level cache, which keeps more
// requests in flight, asks first: kFarAhead for that one, 1 KiB ahead for the first. A macro, as
// g++ takes a function that only prefetches for one without effects.
constexpr int64_t kFarAhead = 16384;
#define AUTODIST_PREFETCH_CODES(line)             \
  do {                                            \
    __builtin_prefetch((line) + kFarAhead, 0, 2); \
    __builtin_prefetch((line) + 1024);            \
  } while (false)

template <int kValue>
struct IntConstant {
  static constexpr int value = kValue;
};
// body(IntConstant<0>) ... body(IntConstant<kCount - 1>)
template <int kCount, int kFirst = 0, typename Body>
inline void Unrolled(const Body& body) {
  if constexpr (kFirst < kCount) {
    body(IntConstant<kFirst>{});
    Unrolled<kCount, kFirst + 1>(body);
  }
}

// Lines give the levels of one vector of outputs.
struct Int8Codes {
  using Line = Int8Line;
  static constexpr core::WeightFormat kFormat = core::WeightFormat::kInt8;
};
struct Int4Codes {
  using Line = Int4Line;
  static constexpr core::WeightFormat kFormat = core::WeightFormat::kInt4;
};

template <typename Codes>
inline typename Codes::Line LoadLine(const uint8_t* group, int line, int output) {
  return typename Codes::Line(CodeLine(group, line, output) + output % kQuarterOutputs * 4);
}

inline Vec LoadScales(const uint8_t* group, int vector) {
  return Load(reinterpret_cast<const core::Float16*>(group) + vector * kLanes);
}

// sums[R, V vectors from `vector` on] += scale * (a[R, 32] * codes of the group). Each output has
// two chains within a group, so that additions overlap; they do not depend on R and V.
template <typename Codes, int R, int V>
inline void MultiplyGroup(const float* a, int64_t a_stride, const uint8_t* group, int vector,
                          float* sums) {
  using Line = typename Codes::Line;
  constexpr int kLines = core::kGroupInputs / Line::kInputs;
  Vec chains[R][V][2];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) chains[r][v][0] = chains[r][v][1] = Zero();
  }
  for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const int output = (vector + v) * kLanes;
      if (output % kQuarterOutputs == 0) AUTODIST_PREFETCH_CODES(CodeLine(group, line, output));
    }
    const auto load = [&](int v) { return LoadLine<Codes>(group, line, (vector + v) * kLanes); };
    const Line lines[4] = {load(0), load(V > 1 ? 1 : 0), load(V > 2 ? 2 : 0), load(V > 2 ? 3 : 0)};
    Unrolled<Line::kInputs>([&](auto input) {
      Vec levels[V];
      Unrolled<V>([&](auto v) { levels[v.value] = lines[v.value].template Level<input.value>(); });
      Unrolled<R>([&](auto r) {
        const Vec x = Broadcast(a[r.value * a_stride + line * Line::kInputs + input.value]);
        Unrolled<V>([&](auto v) {
          Vec& chain = chains[r.value][v.value][input.value % 2];
          chain = Fma(x, levels[v.value], chain);
        });
      });
    });
  }
  Unrolled<V>([&](auto v) {
    const Vec scale = LoadScales(group, vector + v.value);
    Unrolled<R>([&](auto r) {
      float* const sum = sums + r.value * PackedLayout::kBlock + (vector + v.value) * kLanes;
      const Vec codes = chains[r.value][v.value][0] + chains[r.value][v.value][1];
      Store(Fma(scale, codes, Load(sum)), sum);
    });
  });
}

constexpr int kMostQuantisedRows = kVectorRegisters / 4;  // that share one reading of the codes

// Vectors of outputs that are worked on at once: as many as leave registers for chains, levels and
// a.
template <int R>
constexpr int VectorsAtOnce() {
  constexpr int kFree = kVectorRegisters - 4;
  return R * 2 * 4 + 4 <= kFree ? 4 : R * 2 * 2 + 2 <= kFree ? 2 : 1;
}

// sums[R, 64] += a[R, groups * 32] * codes of one block.
template <typename Codes, int R>
inline void MultiplyGroups(const float* a, int64_t a_stride, const uint8_t* block, int64_t groups,
                           float* sums) {
  constexpr int kVectors = PackedLayout::kBlock / kLanes;
  constexpr int kAtOnce = VectorsAtOnce<R>();
  for (int64_t group = 0; group < groups; ++group) {
    AUTODIST_PREFETCH_CODES(block);
    AUTODIST_PREFETCH_CODES(block + 64);
    for (int vector = 0; vector < kVectors; vector += kAtOnce) {
      MultiplyGroup<Codes, R, kAtOnce>(a, a_stride, block, vector, sums);
    }
    a += core::kGroupInputs;
    block += GroupBytes(Codes::kFormat);
  }
}

// A row of x in f32: `lead` zeros, the inputs, zeros up to `spread` of them.
inline void SpreadInputs(const QuantisedTask& task, int64_t row, int64_t spread, float* a) {
  const LinearTask& linear = task.linear;
  const auto* const x = static_cast<const uint8_t*>(linear.x) +
                        static_cast<size_t>(row * linear.x_stride) * core::SizeOf(task.x_dtype);
  const int64_t tail = spread - task.lead - linear.k;
  __builtin_memset(a, 0, static_cast<size_t>(task.lead) * sizeof(float));
  ConvertRow(task.x_dtype, x, core::DType::kF32, a + task.lead, linear.k);
  __builtin_memset(a + task.lead + linear.k, 0, static_cast<size_t>(tail) * sizeof(float));
}

// How LinearCodes() spreads rows of x, of Stride() elements each, and adds the products of up to
// kMostRows of them with a block, or of one with up to kBlocksAtOnce blocks, to their sums.
template <typename Codes>
struct FloatMethod {
  using A = float;
  static constexpr int64_t kBlocksAtOnce = 1;
  static constexpr int kMostRows = kMostQuantisedRows;
  static int64_t Stride(int64_t groups) { return groups * core::kGroupInputs; }
  static void Spread(const QuantisedTask& task, int64_t first_row, int64_t rows, int64_t groups,
                     A* a) {
    for (int64_t row = 0; row < rows; ++row, a += Stride(groups))
      SpreadInputs(task, first_row + row, Stride(groups), a);
  }
  template <int R>
  static void Multiply(const A* a, int64_t stride, const uint8_t* block, int64_t groups,
                       float* sums) {
    MultiplyGroups<Codes, R>(a, stride, block, groups, sums);
  }
};

// Method::Multiply() for a number of rows that is known at run time only.
template <typename Method, int R = Method::kMostRows>
inline void MultiplyGroupsOf(int64_t rows, const typename Method::A* a, int64_t stride,
                             const uint8_t* block, int64_t groups, float* sums) {
  if (rows == R) return Method::template Multiply<R>(a, stride, block, groups, sums);
  if constexpr (R > 1) MultiplyGroupsOf<Method, R - 1>(rows, a, stride, block, groups, sums);
}

// The sums of rows and a block, or of one row and several blocks.
template <typename Method>
inline void MultiplyBlocks(int64_t rows, const typename Method::A* a, int64_t stride,
                           const uint8_t* blocks, size_t block_bytes, int64_t count, int64_t groups,
                           float* sums) {
  if constexpr (Method::kBlocksAtOnce > 1) {
    if (count > 1) return Method::MultiplyInTurns(a, blocks, block_bytes, count, groups, sums);
  }
  for (int64_t row = 0; row < rows; row += Method::kMostRows) {
    MultiplyGroupsOf<Method>(rows - row < Method::kMostRows ? rows - row : Method::kMostRows,
                             a + row * stride, stride, blocks, groups,
                             sums + row * PackedLayout::kBlock);
  }
}

// The share of one thread.
template <typename Method>
void LinearCodes(const QuantisedTask& task, void* scratch) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  const LinearTask& linear = task.linear;
  const int64_t groups = (task.lead + linear.k + core::kGroupInputs - 1) / core::kGroupInputs;
  const int64_t stride = Method::Stride(groups);
  const int64_t all_blocks = (linear.outputs + kBlock - 1) / kBlock;
  const int64_t at_once = linear.rows == 1 ? Method::kBlocksAtOnce : 1;
  auto* const sums = static_cast<float*>(scratch);
  auto* const a = reinterpret_cast<typename Method::A*>(sums + kQuantisedRows * kBlock);
  const auto* const weight = static_cast<const uint8_t*>(linear.weight);
  // The loop does not ask for its first codes; they come while x is converted.
  for (int64_t line = 0; at_once == 1 && line < kFarAhead; line += kLineBytes)
    __builtin_prefetch(weight + line, 0, 2);
  for (int64_t first_row = 0; first_row < linear.rows; first_row += kQuantisedRows) {
    const int64_t rows =
        linear.rows - first_row < kQuantisedRows ? linear.rows - first_row : kQuantisedRows;
    Method::Spread(task, first_row, rows, groups, a);
    ForEachGroup(all_blocks, at_once, [&](int64_t first, int64_t count) {
      const uint8_t* const blocks = weight + static_cast<size_t>(first) * linear.block_bytes;
      __builtin_memset(sums, 0, static_cast<size_t>(count * rows * kBlock) * sizeof(float));
      MultiplyBlocks<Method>(rows, a, stride, blocks, linear.block_bytes, count, groups, sums);
      for (int64_t i = 0; i < count; ++i)
        FinishBlock(linear, first_row, rows, (first + i) * kBlock, sums + i * kBlock);
    });
  }
}

inline void LinearQuantised(const QuantisedTask& task, void* scratch) {
  (task.format == core::WeightFormat::kInt8 ? LinearCodes<FloatMethod<Int8Codes>>
                                            : LinearCodes<FloatMethod<Int4Codes>>)(task, scratch);
}

// One vector of outputs of a group, two inputs at a time, to `panel`, which begins at the group's
// first input: f32 [32][64], or bf16 [16][64][2].
template <typename Codes, typename To>
inline void DequantiseVector(const uint8_t* group, int vector, To* panel) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  using Line = typename Codes::Line;
  constexpr int kLines = core::kGroupInputs / Line::kInputs;
  const int output = vector * kLanes;
  const Vec scale = LoadScales(group, vector);
  for (int line = 0; line < kLines; ++line) {
    const Line codes = LoadLine<Codes>(group, line, output);
    Unrolled<Line::kInputs / 2>([&](auto pair) {
      const Vec even = scale * codes.template Level<2 * pair.value>();
      const Vec odd = scale * codes.template Level<2 * pair.value + 1>();
      To* const to = panel + (line * Line::kInputs + 2 * pair.value) * kBlock;
      if constexpr (sizeof(To) == sizeof(float)) {
        Store(even, to + output);
        Store(odd, to + kBlock + output);
      } else {
        StorePairs(RoundToPairs(even, odd), to + 2 * output);
      }
    });
  }
}

template <typename Codes, typename To>
inline void DequantiseGroups(const uint8_t* block, int64_t groups, void* panel) {
  auto* to = static_cast<To*>(panel);
  for (int64_t group = 0; group < groups; ++group) {
    for (int vector = 0; vector < PackedLayout::kBlock / kLanes; ++vector)
      DequantiseVector<Codes, To>(block, vector, to);
    to += core::kGroupInputs * PackedLayout::kBlock;
    block += GroupBytes(Codes::kFormat);
  }
}

inline void DequantiseBlock(core::WeightFormat format, const void* block, int64_t groups,
                            core::DType to, void* panel) {
  const auto* const bytes = static_cast<const uint8_t*>(block);
  const bool f32 = to == core::DType::kF32;
  if (format == core::WeightFormat::kInt8) {
    (f32 ? DequantiseGroups<Int8Codes, float>
         : DequantiseGroups<Int8Codes, core::BFloat16>)(bytes, groups, panel);
  } else {
    (f32 ? DequantiseGroups<Int4Codes, float>
         : DequantiseGroups<Int4Codes, core::BFloat16>)(bytes, groups, panel);
  }
}
