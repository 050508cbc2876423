// Vectors of eight floats. Included inside a target region and an anonymous namespace, after
// <immintrin.h>.

using Vec = __m256;
using Mask = __m256;    // all bits of a lane set, or none
using Pairs = __m256i;  // eight pairs of bf16: (even, odd) inputs of a packed weight

constexpr int kLanes = 8;
constexpr int kVectorRegisters = 16;

inline Vec Broadcast(float value) { return _mm256_set1_ps(value); }
inline Vec Zero() { return _mm256_setzero_ps(); }
inline Vec Iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }

inline Vec Load(const float* p) { return _mm256_loadu_ps(p); }
inline Vec Load(const core::BFloat16* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline Vec Load(const core::Float16* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

inline void Store(Vec v, float* p) { _mm256_storeu_ps(p, v); }
inline void Store(Vec v, core::BFloat16* p) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i tie_to_even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(bits, _mm256_add_epi32(tie_to_even, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet_nan = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i words = _mm256_blendv_epi8(rounded, quiet_nan, is_nan);
  // packus works within 128-bit halves: the wanted quarters are 0 and 2.
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
}
inline void Store(Vec v, core::Float16* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

// The first n < kLanes elements; the others are zero.
template <typename T>
inline Vec LoadN(const T* p, int64_t n) {
  T lanes[kLanes] = {};
  __builtin_memcpy(lanes, p, static_cast<size_t>(n) * sizeof(T));
  return Load(lanes);
}
template <typename T>
inline void StoreN(Vec v, T* p, int64_t n) {
  T lanes[kLanes];
  Store(v, lanes);
  __builtin_memcpy(p, lanes, static_cast<size_t>(n) * sizeof(T));
}

inline Vec Fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }  // a * b + c
inline Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }              // b where either is NaN
inline Vec Min(Vec a, Vec b) { return _mm256_min_ps(a, b); }              // b where either is NaN
inline Vec Abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
inline Vec Round(Vec a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// 2^a for whole a in [-126, 127].
inline Vec PowerOfTwo(Vec a) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127)), 23));
}
// a - floor(a); 0 of an infinite a.
inline Vec Fraction(Vec a) {
  const Vec finite = Max(_mm256_set1_ps(-0x1p23f), a);  // below, all are whole
  return _mm256_sub_ps(finite, _mm256_floor_ps(finite));
}
// a * 2^floor(k) for a in [0.5, 2] and k < 128; 0 when that is far too small.
inline Vec ScaleByPower(Vec a, Vec k) {
  // An exponent of -127 is the bits of 0.
  return _mm256_mul_ps(a, PowerOfTwo(Max(_mm256_set1_ps(-127.0f), _mm256_floor_ps(k))));
}
inline Vec Reciprocal(Vec a) { return Broadcast(1.0f) / a; }
inline Mask Less(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline Mask And(Mask a, Mask b) { return _mm256_and_ps(a, b); }
inline Vec Select(Mask mask, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, mask); }

inline float Sum(Vec a) {
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 half = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float MaxLane(Vec a) {
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 half = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

inline Pairs LoadPairs(const core::BFloat16* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline Vec Even(Pairs pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
inline Vec Odd(Pairs pairs) {
  return _mm256_castsi256_ps(
      _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
