// Choosing scales and codes: see quantise.h. Included after math-inl.h, in its target region.
// Outputs lie in the lanes, so every instruction set finds the same codes.

using Ints = int32_t __attribute__((vector_size(sizeof(Vec))));

constexpr float kLargestF16 = 65504.0f;

// What a weight in units of the scale is stored as.
struct Int8Levels {
  static constexpr int kScales = 24;
  // The last level at one end, times a little.
  static float EndOf(int scale) {
    const float reach = 1.0f + 0.002f * static_cast<float>(scale / 2 - 3);
    return (scale % 2 == 0 ? -128.0f : 127.0f) * reach;
  }
  static Vec Code(Vec t) { return Level(t) + Broadcast(kInt8Zero); }
  static Vec Level(Vec t) { return Min(Max(Round(t), Broadcast(-128.0f)), Broadcast(127.0f)); }
};

struct Int4Levels {
  static constexpr int kScales = 16;
  static float EndOf(int scale) {
    const float reach = 1.0f + 0.036f * static_cast<float>(scale / 2 - 4);
    return static_cast<float>(scale % 2 == 0 ? kInt4Levels.front() : kInt4Levels.back()) * reach;
  }
  // The larger of two equally near levels.
  static float Border(size_t code) {
    return 0.5f * static_cast<float>(kInt4Levels[code - 1] + kInt4Levels[code]);
  }
  static Vec Code(Vec t) {
    Vec code = Zero();
    for (size_t c = 1; c < kInt4Levels.size(); ++c)
      code = Select(Less(t, Broadcast(Border(c))), code, Broadcast(static_cast<float>(c)));
    return code;
  }
  static Vec Level(Vec t) {
    Vec level = Broadcast(kInt4Levels.front());
    for (size_t c = 1; c < kInt4Levels.size(); ++c)
      level = Select(Less(t, Broadcast(Border(c))), level, Broadcast(kInt4Levels[c]));
    return level;
  }
};

// 1 / scale, or 0.
inline Vec InverseOf(Vec scale) {
  return Select(Less(Zero(), Abs(scale)), Broadcast(1.0f) / scale, Zero());
}

inline Vec RoundToF16(Vec v) {
  core::Float16 bits[kLanes];
  Store(Min(Max(v, Broadcast(-kLargestF16)), Broadcast(kLargestF16)), bits);
  return Load(bits);
}

// The scale of one group in each lane.
template <typename Levels>
inline Vec BestScale(const Vec* w) {
  Vec largest = Zero(), not_finite = Zero();
  for (int i = 0; i < core::kGroupInputs; ++i) {
    largest = Select(Less(Abs(largest), Abs(w[i])), w[i], largest);
    not_finite = Fma(w[i], Zero(), not_finite);
  }
  Vec best = Zero(), least = Broadcast(__builtin_inff());
  for (int scale = 0; scale < Levels::kScales; ++scale) {
    const Vec candidate = RoundToF16(largest / Broadcast(Levels::EndOf(scale)));
    const Vec inverse = InverseOf(candidate);
    Vec error = Zero();
    for (int i = 0; i < core::kGroupInputs; ++i) {
      const Vec difference = Fma(Levels::Level(w[i] * inverse), candidate, -w[i]);
      error = Fma(difference, difference, error);
    }
    const Mask better = Less(error, least);
    best = Select(better, candidate, best);
    least = Select(better, error, least);
  }
  return best + not_finite;
}

// x [32][64] of one group row to its scales and codes.
inline void QuantiseGroup(core::WeightFormat format, const float* x, void* group) {
  const bool int8 = format == core::WeightFormat::kInt8;
  auto* const scales = static_cast<core::Float16*>(group);
  auto* const codes = static_cast<uint8_t*>(group) + kScaleBytes;
  for (int output = 0; output < PackedLayout::kBlock; output += kLanes) {
    Vec w[core::kGroupInputs];
    for (int i = 0; i < core::kGroupInputs; ++i) w[i] = Load(x + i * PackedLayout::kBlock + output);
    const Vec scale = int8 ? BestScale<Int8Levels>(w) : BestScale<Int4Levels>(w);
    Store(scale, scales + output);
    const Vec inverse = InverseOf(scale);
    // The output's place in the lines of its quarter; the lines of the four quarters alternate.
    uint8_t* const to = codes + output / 16 * 64 + output % 16 * 4;
    const int inputs = int8 ? 4 : 8;
    for (int line = 0; line < core::kGroupInputs / inputs; ++line) {
      Ints words = {};
      for (int i = 0; i < inputs; ++i) {
        const Vec t = w[line * inputs + i] * inverse;
        const Vec code = int8 ? Int8Levels::Code(t) : Int4Levels::Code(t);
        const int place = i / 2 + i % 2 * (inputs / 2);
        words |= __builtin_convertvector(code, Ints) << (32 / inputs * place);
      }
      __builtin_memcpy(to + line * 256, &words, sizeof(words));
    }
  }
}
