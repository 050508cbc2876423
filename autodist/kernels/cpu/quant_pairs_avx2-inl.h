// Linear() of bf16 rows on quantised weights in whole numbers. Included after quant-inl.h, in the
// target region of AVX2.
//
// A level is a whole number, and so is an input in units of 2^-14 of its group's largest power of
// two: pairs of products are one instruction, where floats take three for half as many. Inputs of
// bf16 down to 2^-7 of the group's largest are exact; smaller ones are rounded to 2^-15 of it.
// Within a group sums are exact, so nothing depends on how many rows are multiplied together.

// 32 inputs of a row: x[i] * unit. A NaN or an infinity makes the unit NaN, and with it the sums.
struct FixedGroup {
  int16_t x[core::kGroupInputs];
  float unit;
  int32_t sum;  // of x
};

inline void FixGroup(const float* inputs, FixedGroup* to) {
  constexpr int kVectors = core::kGroupInputs / kLanes;
  Vec x[kVectors];
  Vec largest = Zero(), not_finite = Zero();
  for (int v = 0; v < kVectors; ++v) {
    x[v] = Load(inputs + v * kLanes);
    largest = Max(Abs(x[v]), largest);
    not_finite = Fma(x[v], Zero(), not_finite);
  }
  // Exponents as floats store them. The largest input becomes 2^14 to 2^15.
  const auto exponent = static_cast<int>(__builtin_bit_cast(uint32_t, MaxLane(largest)) >> 23);
  const int factor = 127 + 14 - (exponent - 127) < 253 ? 127 + 14 - (exponent - 127) : 253;
  const Vec scale = Broadcast(__builtin_bit_cast(float, factor << 23));
  to->unit = __builtin_bit_cast(float, (254 - factor) << 23) + Sum(not_finite);
  __m256i whole[kVectors];
  for (int v = 0; v < kVectors; ++v) whole[v] = _mm256_cvtps_epi32(x[v] * scale);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums = _mm256_setzero_si256();
  for (int v = 0; v < kVectors; v += 2) {
    // packs works within 128-bit halves: their quarters alternate.
    const __m256i packed =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(whole[v], whole[v + 1]), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to->x + v * kLanes), packed);
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(packed, ones));
  }
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  to->sum = _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
}

// A line's levels, plus kOffset, of eight outputs (the first or the second half of a quarter):
// pairs[i] holds the inputs 2 i and 2 i + 1 of each. Bytes without a sign become words by a mask or
// a shift.
struct Int8Pairs {
  static constexpr core::WeightFormat kFormat = core::WeightFormat::kInt8;
  static constexpr int kLineInputs = 4;
  static constexpr int kOffset = kInt8Zero;
  static void Load(const uint8_t* line, int half, __m256i* pairs) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line) + half);
    pairs[0] = _mm256_and_si256(words, _mm256_set1_epi16(255));
    pairs[1] = _mm256_srli_epi16(words, 8);
  }
};

struct Int4Pairs {
  static constexpr core::WeightFormat kFormat = core::WeightFormat::kInt4;
  static constexpr int kLineInputs = 8;
  static constexpr int kOffset = 128;
  static void Load(const uint8_t* line, int half, __m256i* pairs) {
    alignas(16) static constexpr auto kLevels = [] {
      std::array<uint8_t, 16> levels{};
      for (size_t i = 0; i < levels.size(); ++i)
        levels[i] = static_cast<uint8_t>(kInt4Levels[i] + kOffset);
      return levels;
    }();
    const __m256i table = _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(kLevels.data())));
    const __m256i low_bits = _mm256_set1_epi8(15), low_bytes = _mm256_set1_epi16(255);
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(line) + half);
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(words, low_bits));
    const __m256i high =
        _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(words, 4), low_bits));
    pairs[0] = _mm256_and_si256(low, low_bytes);
    pairs[1] = _mm256_and_si256(high, low_bytes);
    pairs[2] = _mm256_srli_epi16(low, 8);
    pairs[3] = _mm256_srli_epi16(high, 8);
  }
};

// whole[R] of a vector of outputs += x * levels of the first or second half of a line.
template <typename Pairs, int R, int kVectors, typename Vector>
inline __attribute__((always_inline)) void AddLine(const FixedGroup* x, int64_t x_stride, int line,
                                                   const uint8_t* codes, int half,
                                                   __m256i (&whole)[R][kVectors], Vector vector) {
  __m256i pairs[Pairs::kLineInputs / 2];
  Pairs::Load(codes, half, pairs);
  Unrolled<R>([&](auto r) {
    const int16_t* at = x[r.value * x_stride].x + line * Pairs::kLineInputs;
    // Hides that the next vector has the same inputs: kept in registers, these drive out sums.
    __asm__("" : "+r"(at));
    __m256i& sum = whole[r.value][vector.value];
    Unrolled<Pairs::kLineInputs / 2>([&](auto i) {
      int32_t pair;
      __builtin_memcpy(&pair, at + 2 * i.value, sizeof(pair));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs[i.value], _mm256_set1_epi32(pair)));
    });
  });
}

// sums[R, Q quarters of outputs from `quarter` on] += x * levels of the group.
template <typename Pairs, int R, int Q>
inline void MultiplyPairs(const FixedGroup* x, int64_t x_stride, const uint8_t* group, int quarter,
                          float* sums) {
  constexpr int kLines = core::kGroupInputs / Pairs::kLineInputs;
  __m256i whole[R][Q * 2];
  Unrolled<R>([&](auto r) {
    for (__m256i& sum : whole[r.value])
      sum = _mm256_set1_epi32(-Pairs::kOffset * x[r.value * x_stride].sum);
  });
  for (int line = 0; line < kLines; ++line) {
    Unrolled<Q * 2>([&](auto v) {
      const uint8_t* const codes = CodeLine(group, line, (quarter + v.value / 2) * kQuarterOutputs);
      if constexpr (v.value % 2 == 0) AUTODIST_PREFETCH_CODES(codes);
      AddLine<Pairs, R>(x, x_stride, line, codes, v.value % 2, whole, v);
    });
  }
  // (In a function that takes `whole`, g++ 12 would keep it in memory: int4 a third slower.)
  Unrolled<Q * 2>([&](auto v) {
    const int vector = quarter * 2 + v.value;
    const Vec scale = LoadScales(group, vector);
    Unrolled<R>([&](auto r) {
      float* const sum = sums + r.value * PackedLayout::kBlock + vector * kLanes;
      const Vec unit = Broadcast(x[r.value * x_stride].unit);
      Store(Fma(_mm256_cvtepi32_ps(whole[r.value][v.value]), scale * unit, Load(sum)), sum);
    });
  });
}

// sums[S][64] += x * S blocks, a line of each block in turn: see MultiplyInTurns() of gemm-inl.h.
template <typename Pairs, int S>
inline void MultiplyPairsInTurns(const FixedGroup* x, const uint8_t* blocks, size_t block_bytes,
                                 int64_t groups, float* sums) {
  constexpr int kVectors = PackedLayout::kBlock / kLanes;
  constexpr int kLines = core::kGroupInputs / Pairs::kLineInputs;
  for (int64_t group = 0; group < groups; ++group, ++x, blocks += GroupBytes(Pairs::kFormat)) {
    const auto of_block = [&](int s) { return blocks + static_cast<size_t>(s) * block_bytes; };
    __m256i whole[S][1][kVectors];
    for (auto& sums_of_block : whole) {
      for (__m256i& sum : sums_of_block[0]) sum = _mm256_set1_epi32(-Pairs::kOffset * x->sum);
    }
    for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
      for (int s = 0; s < S; ++s) {
        __m256i now[1][kVectors];
        Unrolled<kVectors>([&](auto v) { now[0][v.value] = whole[s][0][v.value]; });
        Unrolled<kVectors>([&](auto v) {
          AddLine<Pairs, 1>(x, 0, line, CodeLine(of_block(s), line, v.value / 2 * kQuarterOutputs),
                            v.value % 2, now, v);
        });
        Unrolled<kVectors>([&](auto v) { whole[s][0][v.value] = now[0][v.value]; });
      }
    }
    for (int s = 0; s < S; ++s) {
      Unrolled<kVectors>([&](auto v) {
        float* const sum = sums + s * PackedLayout::kBlock + v.value * kLanes;
        const Vec scale = LoadScales(of_block(s), v.value) * Broadcast(x->unit);
        Store(Fma(_mm256_cvtepi32_ps(whole[s][0][v.value]), scale, Load(sum)), sum);
      });
    }
  }
}

// What LinearCodes() does with rows of bf16.
template <typename Pairs>
struct PairMethod {
  using A = FixedGroup;
  static constexpr core::WeightFormat kFormat = Pairs::kFormat;
  static constexpr int kMostRows = 4;
  // int4, which computing bounds, was a fifth slower in turns.
  static constexpr int64_t kBlocksAtOnce =
      kFormat == core::WeightFormat::kInt8 ? cpu::kBlocksAtOnce : 1;
  static int64_t Stride(int64_t groups) { return groups; }

  // The row in f32 lies behind the last one that there can be.
  static void Spread(const QuantisedTask& task, int64_t first_row, int64_t rows, int64_t groups,
                     A* a) {
    // QuantisedScratchBytes() is for rows of floats.
    constexpr size_t kFloats = core::kGroupInputs * sizeof(float);
    static_assert(kQuantisedRows * sizeof(A) + kFloats <= kQuantisedRows * kFloats);
    auto* const row_in_f32 = reinterpret_cast<float*>(a + kQuantisedRows * groups);
    for (int64_t row = 0; row < rows; ++row, a += groups) {
      SpreadInputs(task, first_row + row, groups * core::kGroupInputs, row_in_f32);
      for (int64_t group = 0; group < groups; ++group)
        FixGroup(row_in_f32 + group * core::kGroupInputs, a + group);
    }
  }

  // One row takes a whole block at once, which reads memory straight forward.
  template <int R>
  static void Multiply(const A* a, int64_t stride, const uint8_t* block, int64_t groups,
                       float* sums) {
    constexpr int kQuarters = PackedLayout::kBlock / kQuarterOutputs;
    constexpr int kAtOnce = R == 1 ? kQuarters : R == 2 ? 2 : 1;
    for (int64_t group = 0; group < groups; ++group, ++a, block += GroupBytes(kFormat)) {
      AUTODIST_PREFETCH_CODES(block);
      AUTODIST_PREFETCH_CODES(block + 64);
      for (int quarter = 0; quarter < kQuarters; quarter += kAtOnce)
        MultiplyPairs<Pairs, R, kAtOnce>(a, stride, block, quarter, sums);
    }
  }

  // REQUIRES 2 to kBlocksAtOnce blocks.
  static void MultiplyInTurns(const A* a, const uint8_t* blocks, size_t block_bytes, int64_t count,
                              int64_t groups, float* sums) {
    const auto multiply = count == 4   ? MultiplyPairsInTurns<Pairs, 4>
                          : count == 3 ? MultiplyPairsInTurns<Pairs, 3>
                                       : MultiplyPairsInTurns<Pairs, 2>;
    multiply(a, blocks, block_bytes, groups, sums);
  }
};

inline void LinearQuantisedPairs(const QuantisedTask& task, void* scratch) {
  if (task.x_dtype != core::DType::kBF16) return LinearQuantised(task, scratch);
  (task.format == core::WeightFormat::kInt8 ? LinearCodes<PairMethod<Int8Pairs>>
                                            : LinearCodes<PairMethod<Int4Pairs>>)(task, scratch);
}
