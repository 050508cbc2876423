// Codes of quantised weights as sixteen floats. Included after vec_avx512-inl.h.

// Four inputs of sixteen outputs.
class Int8Line {
 public:
  static constexpr int kInputs = 4;
  explicit Int8Line(const uint8_t* p)
      : levels_(_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128))) {}
  template <int kInput>
  Vec Level() const {
    constexpr int kByte = kInput / 2 + kInput % 2 * 2;
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(levels_, 8 * (3 - kByte)), 24));
  }

 private:
  __m512i levels_;
};

// Eight inputs of sixteen outputs. A permutation looks only at the four bits that pick a level.
class Int4Line {
 public:
  static constexpr int kInputs = 8;
  explicit Int4Line(const uint8_t* p)
      : words_(_mm512_loadu_si512(p)),
        levels_(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(kInt4Levels.data()))))) {}
  template <int kInput>
  Vec Level() const {
    constexpr int kNibble = kInput / 2 + kInput % 2 * 4;
    return _mm512_permutexvar_ps(_mm512_srli_epi32(words_, 4 * kNibble), levels_);
  }

 private:
  __m512i words_;
  Vec levels_;
};

// (even, odd) rounded to pairs of bf16; NaN stays NaN where its low half is zero, as that of a NaN
// scale is.
inline Pairs RoundToPairs(Vec even, Vec odd) {
  const auto round = [](Vec v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i tie_to_even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(bits, _mm512_add_epi32(tie_to_even, _mm512_set1_epi32(0x7fff)));
  };
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(round(even), 16), round(odd));
}
inline void StorePairs(Pairs pairs, core::BFloat16* p) { _mm512_storeu_si512(p, pairs); }
