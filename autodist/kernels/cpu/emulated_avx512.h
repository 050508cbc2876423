// The AVX-512 and AMX intrinsics that kernels use, computed lane by lane, for tests on CPUs that
// lack them: see kernels_emulated_test in ../CMakeLists.txt. Included where a kernel's target
// region begins, whose target is AVX2 then. What each does: Intel's intrinsics guide. bf16 dot
// products: Intel's manual, VDPBF16PS and TDPBF16PS.
#ifndef AUTODIST_KERNELS_CPU_EMULATED_AVX512_H_
#define AUTODIST_KERNELS_CPU_EMULATED_AVX512_H_

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace autodist::kernels::cpu::emulated {

using Floats = __m512;
using Ints = int32_t __attribute__((vector_size(64)));
using Unsigned = uint32_t __attribute__((vector_size(64)));
using Words = uint16_t __attribute__((vector_size(64)));
using Bytes = uint8_t __attribute__((vector_size(64)));
constexpr size_t kFloats = 16;

inline Ints AsInts(__m512i v) { return reinterpret_cast<Ints>(v); }
inline __m512i AsBits(Ints v) { return reinterpret_cast<__m512i>(v); }
inline bool Has(uint32_t mask, size_t lane) { return (mask >> lane & 1u) != 0; }

template <typename LaneOf>
inline Floats FloatsOf(const LaneOf& lane_of) {
  Floats v = {};
  for (size_t i = 0; i < kFloats; ++i) v[i] = lane_of(i);
  return v;
}
template <typename LaneOf>
inline __m512i IntsOf(const LaneOf& lane_of) {
  Ints v = {};
  for (size_t i = 0; i < kFloats; ++i) v[i] = lane_of(i);
  return AsBits(v);
}
template <typename V>
inline void StoreBytes(void* p, const V& v) {
  std::memcpy(p, &v, sizeof(v));
}
template <typename V>
inline V LoadBytes(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

inline __mmask16 Compare(Floats a, Floats b, int predicate) {
  if (predicate != _CMP_UNORD_Q && predicate != _CMP_LT_OQ) __builtin_trap();
  uint32_t mask = 0;
  for (size_t i = 0; i < kFloats; ++i) {
    const bool unordered = std::isnan(a[i]) || std::isnan(b[i]);
    mask |= static_cast<uint32_t>(predicate == _CMP_UNORD_Q ? unordered : a[i] < b[i]) << i;
  }
  return static_cast<__mmask16>(mask);
}
inline Floats Blend(uint32_t mask, Floats no, Floats yes) {
  return FloatsOf([&](size_t i) { return Has(mask, i) ? yes[i] : no[i]; });
}
inline Floats MaskedLoad(uint32_t mask, const float* p) {
  return FloatsOf([&](size_t i) { return Has(mask, i) ? p[i] : 0.0f; });
}
inline void MaskedStore(float* p, uint32_t mask, Floats v) {
  for (size_t i = 0; i < kFloats; ++i) {
    if (Has(mask, i)) p[i] = v[i];
  }
}
template <typename V>  // of 16-bit elements
inline V MaskedLoad16(uint32_t mask, const void* p) {
  V v = {};
  for (size_t i = 0; i < sizeof(V) / 2; ++i) {
    if (Has(mask, i))
      std::memcpy(reinterpret_cast<char*>(&v) + 2 * i, static_cast<const char*>(p) + 2 * i, 2);
  }
  return v;
}
inline void MaskedStore16(void* p, uint32_t mask, __m256i v) {
  for (size_t i = 0; i < sizeof(v) / 2; ++i) {
    if (Has(mask, i))
      std::memcpy(static_cast<char*>(p) + 2 * i, reinterpret_cast<const char*>(&v) + 2 * i, 2);
  }
}

inline __m512i ShuffleBytes(__m512i table, __m512i index) {
  const auto from = reinterpret_cast<Bytes>(table), at = reinterpret_cast<Bytes>(index);
  Bytes v = {};
  for (size_t i = 0; i < sizeof(v); ++i)
    v[i] = (at[i] & 128) != 0 ? uint8_t{0} : from[i / 16 * 16 + at[i] % 16];
  return reinterpret_cast<__m512i>(v);
}
inline __m512i BlendWords(uint32_t mask, __m512i no, __m512i yes) {
  auto v = reinterpret_cast<Words>(no);
  const auto other = reinterpret_cast<Words>(yes);
  for (size_t i = 0; i < sizeof(v) / 2; ++i) v[i] = Has(mask, i) ? other[i] : v[i];
  return reinterpret_cast<__m512i>(v);
}
inline __m512i MoveInts(__m512i no, uint32_t mask, __m512i yes) {
  return IntsOf([&](size_t i) { return Has(mask, i) ? AsInts(yes)[i] : AsInts(no)[i]; });
}
inline Floats Permute(__m512i index, Floats v) {
  return FloatsOf([&](size_t i) { return v[static_cast<size_t>(AsInts(index)[i] & 15)]; });
}

inline Floats HalvesToFloats(__m256i halves) {
  const auto* const parts = reinterpret_cast<const __m128i*>(&halves);
  const __m256 floats[2] = {_mm256_cvtph_ps(parts[0]), _mm256_cvtph_ps(parts[1])};
  return LoadBytes<Floats>(floats);
}
inline __m256i FloatsToHalves(Floats v, int) {
  __m256 parts[2];
  std::memcpy(parts, &v, sizeof(v));
  return _mm256_set_m128i(_mm256_cvtps_ph(parts[1], _MM_FROUND_TO_NEAREST_INT),
                          _mm256_cvtps_ph(parts[0], _MM_FROUND_TO_NEAREST_INT));
}
inline __m512i WordsToInts(__m256i words) {
  uint16_t from[kFloats];
  std::memcpy(from, &words, sizeof(from));
  return IntsOf([&](size_t i) { return static_cast<int32_t>(from[i]); });
}
inline __m256i IntsToWords(__m512i v) {
  uint16_t to[kFloats];
  for (size_t i = 0; i < kFloats; ++i) to[i] = static_cast<uint16_t>(AsInts(v)[i]);
  return LoadBytes<__m256i>(to);
}
inline __m512i BytesToInts(__m128i bytes) {
  int8_t from[kFloats];
  std::memcpy(from, &bytes, sizeof(from));
  return IntsOf([&](size_t i) { return static_cast<int32_t>(from[i]); });
}
inline __m512i RoundToInts(Floats v) {
  return IntsOf([&](size_t i) {
    return std::abs(v[i]) < 0x1p31f ? static_cast<int32_t>(std::nearbyint(v[i]))
                                    : std::numeric_limits<int32_t>::min();
  });
}

inline Floats FusedMultiplyAdd(Floats a, Floats b, Floats c) {
  return FloatsOf([&](size_t i) { return std::fma(a[i], b[i], c[i]); });
}
inline Floats Fractions(Floats v) {
  return FloatsOf([&](size_t i) { return std::isinf(v[i]) ? 0.0f : v[i] - std::floor(v[i]); });
}
inline Floats ScaleByPowers(Floats v, Floats k) {
  return FloatsOf([&](size_t i) {
    if (std::isnan(k[i])) return k[i];
    return std::ldexp(v[i], static_cast<int>(std::clamp(std::floor(k[i]), -1000.0f, 1000.0f)));
  });
}
// Fourteen bits of the result.
inline Floats RoughReciprocal(Floats v) {
  const Floats exact = FloatsOf([&](size_t i) { return 1.0f / v[i]; });
  return reinterpret_cast<Floats>(reinterpret_cast<Ints>(exact) & ~0x1ff);
}
// The upper half of what is left onto the lower.
template <typename Combine>
inline float Reduce(Floats v, const Combine& combine) {
  for (size_t half = kFloats / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) v[i] = combine(v[i], v[i + half]);
  }
  return v[0];
}

inline float WidenBf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  return LoadBytes<float>(&wide);
}
inline float Flush(float v) {  // subnormals are zeros
  return std::abs(v) < std::numeric_limits<float>::min() ? std::copysign(0.0f, v) : v;
}
inline float AddProduct(float sum, uint16_t a, uint16_t b) {
  return Flush(std::fma(Flush(WidenBf16(a)), Flush(WidenBf16(b)), Flush(sum)));
}
inline Floats DotOfBf16(Floats sums, __m512bh a, __m512bh b) {
  uint16_t of_a[2 * kFloats], of_b[2 * kFloats];
  std::memcpy(of_a, &a, sizeof(of_a));
  std::memcpy(of_b, &b, sizeof(of_b));
  return FloatsOf([&](size_t i) {
    const float odd = AddProduct(sums[i], of_a[2 * i + 1], of_b[2 * i + 1]);
    return AddProduct(odd, of_a[2 * i], of_b[2 * i]);
  });
}
inline __m512bh NarrowToBf16(Floats high, Floats low) {
  uint16_t to[2 * kFloats];
  for (size_t i = 0; i < 2 * kFloats; ++i) {
    const float v = i < kFloats ? low[i] : high[i - kFloats];
    const auto bits = LoadBytes<uint32_t>(&v);
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1u);
    to[i] = static_cast<uint16_t>((std::isnan(v) ? bits | 0x400000u : rounded) >> 16);
  }
  return LoadBytes<__m512bh>(to);
}

// Tile registers of a thread.
struct Tile {
  size_t rows, row_bytes;
  alignas(64) uint8_t row[16][64];
};
inline thread_local Tile tiles[8];

inline void LoadTileConfig(const void* configuration) {
  const auto* const bytes = static_cast<const uint8_t*>(configuration);
  for (size_t i = 0; i < std::size(tiles); ++i)
    tiles[i] = {bytes[48 + i], LoadBytes<uint16_t>(bytes + 16 + 2 * i), {}};
}
inline void ZeroTile(int tile) { std::memset(tiles[tile].row, 0, sizeof(Tile::row)); }
inline void LoadTile(int tile, const void* p, int64_t stride) {
  ZeroTile(tile);
  for (size_t i = 0; i < tiles[tile].rows; ++i)
    std::memcpy(tiles[tile].row[i],
                static_cast<const uint8_t*>(p) + static_cast<int64_t>(i) * stride,
                tiles[tile].row_bytes);
}
inline void StoreTile(int tile, void* p, int64_t stride) {
  for (size_t i = 0; i < tiles[tile].rows; ++i)
    std::memcpy(static_cast<uint8_t*>(p) + static_cast<int64_t>(i) * stride, tiles[tile].row[i],
                tiles[tile].row_bytes);
}
inline void MultiplyTiles(int c, int a, int b) {
  for (size_t m = 0; m < tiles[c].rows; ++m) {
    for (size_t n = 0; n < tiles[c].row_bytes / 4; ++n) {
      float sums[2] = {};  // of the even and of the odd inputs
      for (size_t k = 0; k < tiles[a].row_bytes / 4; ++k) {
        uint16_t of_a[2], of_b[2];
        std::memcpy(of_a, tiles[a].row[m] + 4 * k, sizeof(of_a));
        std::memcpy(of_b, tiles[b].row[k] + 4 * n, sizeof(of_b));
        for (int i = 0; i < 2; ++i) sums[i] = AddProduct(sums[i], of_a[i], of_b[i]);
      }
      const auto before = LoadBytes<float>(tiles[c].row[m] + 4 * n);
      StoreBytes(tiles[c].row[m] + 4 * n, Flush(Flush(before) + Flush(sums[0] + sums[1])));
    }
  }
}

}  // namespace autodist::kernels::cpu::emulated
#pragma GCC pop_options

// clang-format off
#undef _mm512_setzero_ps
#define _mm512_setzero_ps() emulated::Floats{}
#undef _mm512_setzero_si512
#define _mm512_setzero_si512() __m512i{}
#undef _mm512_set1_ps
#define _mm512_set1_ps(v) (emulated::Floats{} + (v))
#undef _mm512_setr_ps
#define _mm512_setr_ps(...) emulated::Floats{__VA_ARGS__}
#undef _mm512_set1_epi32
#define _mm512_set1_epi32(v) emulated::AsBits(emulated::Ints{} + (v))
#undef _mm512_set1_epi8
#define _mm512_set1_epi8(v) emulated::AsBits(emulated::Ints{} + static_cast<int>(static_cast<uint8_t>(v) * 0x01010101u))
#undef _mm512_set4_epi32
#define _mm512_set4_epi32(d, c, b, a) emulated::AsBits(emulated::Ints{a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d})
#undef _mm512_castsi512_ps
#define _mm512_castsi512_ps(v) reinterpret_cast<emulated::Floats>(v)
#undef _mm512_castps_si512
#define _mm512_castps_si512(v) reinterpret_cast<__m512i>(v)
#undef _mm512_loadu_ps
#define _mm512_loadu_ps(p) emulated::LoadBytes<emulated::Floats>(p)
#undef _mm512_loadu_si512
#define _mm512_loadu_si512(p) emulated::LoadBytes<__m512i>(p)
#undef _mm512_storeu_ps
#define _mm512_storeu_ps(p, v) emulated::StoreBytes(p, v)
#undef _mm512_storeu_si512
#define _mm512_storeu_si512(p, v) emulated::StoreBytes(p, v)
#undef _mm512_store_si512
#define _mm512_store_si512(p, v) emulated::StoreBytes(p, v)
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, p) emulated::MaskedLoad(mask, p)
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(p, mask, v) emulated::MaskedStore(p, mask, v)
#undef _mm512_maskz_loadu_epi16
#define _mm512_maskz_loadu_epi16(mask, p) emulated::MaskedLoad16<__m512i>(mask, p)
#undef _mm256_maskz_loadu_epi16
#define _mm256_maskz_loadu_epi16(mask, p) emulated::MaskedLoad16<__m256i>(mask, p)
#undef _mm256_mask_storeu_epi16
#define _mm256_mask_storeu_epi16(p, mask, v) emulated::MaskedStore16(p, mask, v)
#undef _mm512_add_epi32
#define _mm512_add_epi32(a, b) emulated::AsBits(emulated::AsInts(a) + emulated::AsInts(b))
#undef _mm512_and_si512
#define _mm512_and_si512(a, b) ((a) & (b))
#undef _mm512_or_si512
#define _mm512_or_si512(a, b) ((a) | (b))
#undef _mm512_xor_si512
#define _mm512_xor_si512(a, b) ((a) ^ (b))
#undef _mm512_slli_epi32
#define _mm512_slli_epi32(v, bits) emulated::AsBits(emulated::AsInts(v) << (bits))
#undef _mm512_srai_epi32
#define _mm512_srai_epi32(v, bits) emulated::AsBits(emulated::AsInts(v) >> (bits))
#undef _mm512_srli_epi32
#define _mm512_srli_epi32(v, bits) reinterpret_cast<__m512i>(reinterpret_cast<emulated::Unsigned>(v) >> (bits))
#undef _mm512_shuffle_epi8
#define _mm512_shuffle_epi8(table, index) emulated::ShuffleBytes(table, index)
#undef _mm512_mask_blend_ps
#define _mm512_mask_blend_ps(mask, no, yes) emulated::Blend(mask, no, yes)
#undef _mm512_mask_blend_epi16
#define _mm512_mask_blend_epi16(mask, no, yes) emulated::BlendWords(mask, no, yes)
#undef _mm512_mask_mov_epi32
#define _mm512_mask_mov_epi32(no, mask, yes) emulated::MoveInts(no, mask, yes)
#undef _mm512_permutexvar_ps
#define _mm512_permutexvar_ps(index, v) emulated::Permute(index, v)
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask(a, b, predicate) emulated::Compare(a, b, predicate)
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps(v) emulated::HalvesToFloats(v)
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph(v, rounding) emulated::FloatsToHalves(v, rounding)
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32(v) emulated::WordsToInts(v)
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16(v) emulated::IntsToWords(v)
#undef _mm512_cvtepi8_epi32
#define _mm512_cvtepi8_epi32(v) emulated::BytesToInts(v)
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(v) __builtin_convertvector(emulated::AsInts(v), emulated::Floats)
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32(v) emulated::RoundToInts(v)
#undef _mm512_cvtne2ps_pbh
#define _mm512_cvtne2ps_pbh(high, low) emulated::NarrowToBf16(high, low)
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps(a, b, c) emulated::FusedMultiplyAdd(a, b, c)
#undef _mm512_fnmadd_ps
#define _mm512_fnmadd_ps(a, b, c) emulated::FusedMultiplyAdd(-(a), b, c)
#undef _mm512_min_ps
#define _mm512_min_ps(a, b) emulated::FloatsOf([x = (a), y = (b)](size_t i) { return x[i] < y[i] ? x[i] : y[i]; })
#undef _mm512_max_ps
#define _mm512_max_ps(a, b) emulated::FloatsOf([x = (a), y = (b)](size_t i) { return x[i] > y[i] ? x[i] : y[i]; })
#undef _mm512_abs_ps
#define _mm512_abs_ps(v) emulated::FloatsOf([x = (v)](size_t i) { return std::abs(x[i]); })
#undef _mm512_roundscale_ps
#define _mm512_roundscale_ps(v, rounding) emulated::FloatsOf([x = (v)](size_t i) { return std::nearbyint(x[i]); })
#undef _mm512_reduce_ps
#define _mm512_reduce_ps(v, rounding) emulated::Fractions(v)
#undef _mm512_scalef_ps
#define _mm512_scalef_ps(v, k) emulated::ScaleByPowers(v, k)
#undef _mm512_rcp14_ps
#define _mm512_rcp14_ps(v) emulated::RoughReciprocal(v)
#undef _mm512_reduce_add_ps
#define _mm512_reduce_add_ps(v) emulated::Reduce(v, std::plus<float>())
#undef _mm512_reduce_max_ps
#define _mm512_reduce_max_ps(v) emulated::Reduce(v, [](float x, float y) { return x > y ? x : y; })
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps(sums, a, b) emulated::DotOfBf16(sums, a, b)
#undef _tile_loadconfig
#define _tile_loadconfig(configuration) emulated::LoadTileConfig(configuration)
#undef _tile_release
#define _tile_release() static_cast<void>(0)
#undef _tile_zero
#define _tile_zero(tile) emulated::ZeroTile(tile)
#undef _tile_loadd
#define _tile_loadd(tile, p, stride) emulated::LoadTile(tile, p, stride)
#undef _tile_stored
#define _tile_stored(tile, p, stride) emulated::StoreTile(tile, p, stride)
#undef _tile_dpbf16ps
#define _tile_dpbf16ps(c, a, b) emulated::MultiplyTiles(c, a, b)
// clang-format on

#endif  // AUTODIST_KERNELS_CPU_EMULATED_AVX512_H_
