// Element types, and scalar conversions between the 16-bit ones and f32.
#ifndef AUTODIST_CORE_DTYPE_H_
#define AUTODIST_CORE_DTYPE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace autodist::core {

enum class DType : uint8_t { kF32, kF16, kBF16, kI32, kI64, kU8 };

size_t SizeOf(DType dtype);  // bytes per element
std::string_view NameOf(
    DType dtype);  // "float32", "float16", "bfloat16", "int32", "int64", "uint8"

// A 16-bit brain float: the upper half of an f32. Storage only; arithmetic is done in f32.
struct BFloat16 {
  uint16_t bits;
};
// An IEEE half. Storage only.
struct Float16 {
  uint16_t bits;
};

inline float ToFloat(BFloat16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// Round to nearest, ties to even; NaN stays NaN (quiet), overflow becomes infinity.
inline BFloat16 ToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

float ToFloat(Float16 value);
Float16 ToFloat16(float value);  // round to nearest, ties to even; subnormals kept

}  // namespace autodist::core

#endif  // AUTODIST_CORE_DTYPE_H_
