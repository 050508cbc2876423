// Codes of quantised weights as eight floats. Included after vec_avx2-inl.h.

// Four inputs of eight outputs.
class Int8Line {
 public:
  static constexpr int kInputs = 4;
  explicit Int8Line(const uint8_t* p)
      : levels_(_mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                                 _mm256_set1_epi8(-128))) {}
  template <int kInput>
  Vec Level() const {
    constexpr int kByte = kInput / 2 + kInput % 2 * 2;
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(levels_, 8 * (3 - kByte)), 24));
  }

 private:
  __m256i levels_;
};

// Eight inputs of eight outputs: the levels of all 64 are looked up as bytes at once.
class Int4Line {
 public:
  static constexpr int kInputs = 8;
  explicit Int4Line(const uint8_t* p) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i levels = _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(kInt4Levels.data())));
    const __m256i low_bits = _mm256_set1_epi8(15);
    even_ = _mm256_shuffle_epi8(levels, _mm256_and_si256(words, low_bits));
    odd_ = _mm256_shuffle_epi8(levels, _mm256_and_si256(_mm256_srli_epi32(words, 4), low_bits));
  }
  template <int kInput>
  Vec Level() const {
    constexpr int kNibble = kInput / 2 + kInput % 2 * 4;
    constexpr int kByte = kNibble / 2;
    const __m256i bytes = kNibble % 2 == 0 ? even_ : odd_;
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(bytes, 8 * (3 - kByte)), 24));
  }

 private:
  __m256i even_, odd_;  // of the nibbles
};

// (even, odd) rounded to pairs of bf16; NaN stays NaN where its low half is zero, as that of a NaN
// scale is.
inline Pairs RoundToPairs(Vec even, Vec odd) {
  const auto round = [](Vec v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i tie_to_even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(bits, _mm256_add_epi32(tie_to_even, _mm256_set1_epi32(0x7fff)));
  };
  return _mm256_blend_epi16(_mm256_srli_epi32(round(even), 16), round(odd), 0xaa);
}
inline void StorePairs(Pairs pairs, core::BFloat16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pairs);
}
