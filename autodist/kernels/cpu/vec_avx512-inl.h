// Vectors of sixteen floats. Included inside a target region and an anonymous namespace, after
// <immintrin.h>.

using Vec = __m512;
using Mask = __mmask16;
using Pairs = __m512i;  // sixteen pairs of bf16: (even, odd) inputs of a packed weight

constexpr int kLanes = 16;
constexpr int kVectorRegisters = 32;

inline Vec Broadcast(float value) { return _mm512_set1_ps(value); }
inline Vec Zero() { return _mm512_setzero_ps(); }
inline Vec Iota() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

inline Vec WidenBf16(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline __m256i NarrowBf16(Vec v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i tie_to_even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(
      _mm512_add_epi32(bits, _mm512_add_epi32(tie_to_even, _mm512_set1_epi32(0x7fff))), 16);
  const __m512i quiet_nan = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(
      _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet_nan));
}

inline Vec Load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec Load(const core::BFloat16* p) {
  return WidenBf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Vec Load(const core::Float16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline void Store(Vec v, float* p) { _mm512_storeu_ps(p, v); }
inline void Store(Vec v, core::BFloat16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), NarrowBf16(v));
}
inline void Store(Vec v, core::Float16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

// The first n < kLanes elements; the others are zero.
inline Mask FirstLanes(int64_t n) { return static_cast<Mask>((1u << n) - 1u); }
inline Vec LoadN(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(FirstLanes(n), p); }
inline Vec LoadN(const core::BFloat16* p, int64_t n) {
  return WidenBf16(_mm256_maskz_loadu_epi16(FirstLanes(n), p));
}
inline Vec LoadN(const core::Float16* p, int64_t n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstLanes(n), p));
}
inline void StoreN(Vec v, float* p, int64_t n) { _mm512_mask_storeu_ps(p, FirstLanes(n), v); }
inline void StoreN(Vec v, core::BFloat16* p, int64_t n) {
  _mm256_mask_storeu_epi16(p, FirstLanes(n), NarrowBf16(v));
}
inline void StoreN(Vec v, core::Float16* p, int64_t n) {
  _mm256_mask_storeu_epi16(p, FirstLanes(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

inline Vec Fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
inline Vec Max(Vec a, Vec b) { return _mm512_max_ps(a, b); }              // b where either is NaN
inline Vec Min(Vec a, Vec b) { return _mm512_min_ps(a, b); }              // b where either is NaN
inline Vec Abs(Vec a) { return _mm512_abs_ps(a); }
inline Vec Round(Vec a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// 2^a for whole a in [-126, 127].
inline Vec PowerOfTwo(Vec a) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127)), 23));
}
// a - floor(a); 0 of an infinite a.
inline Vec Fraction(Vec a) {
  return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
// a * 2^floor(k) for a in [0.5, 2] and k < 128; 0 when that is far too small.
inline Vec ScaleByPower(Vec a, Vec k) { return _mm512_scalef_ps(a, k); }
// 1 / a for normal a, within 2^-23 of it; NaN stays NaN. A division takes as long as ten products.
inline Vec Reciprocal(Vec a) {
  const Vec guess = _mm512_rcp14_ps(a);
  return guess * _mm512_fnmadd_ps(a, guess, _mm512_set1_ps(2.0f));
}
inline Mask Less(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline Mask And(Mask a, Mask b) { return static_cast<Mask>(a & b); }
inline Vec Select(Mask mask, Vec yes, Vec no) { return _mm512_mask_blend_ps(mask, no, yes); }

inline float Sum(Vec a) { return _mm512_reduce_add_ps(a); }
inline float MaxLane(Vec a) { return _mm512_reduce_max_ps(a); }

inline Pairs LoadPairs(const core::BFloat16* p) { return _mm512_loadu_si512(p); }
inline Vec Even(Pairs pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline Vec Odd(Pairs pairs) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}
