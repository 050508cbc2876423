// How the elements of weight matrices are stored in memory.
#ifndef AUTODIST_CORE_WEIGHT_FORMAT_H_
#define AUTODIST_CORE_WEIGHT_FORMAT_H_

#include <cstdint>
#include <string_view>

#include "autodist/core/dtype.h"

namespace autodist::core {

// kInt8 and kInt4 are codes of that width in groups of kGroupInputs consecutive inputs of one
// output, with one f16 scale per group (kernels/quantise.h).
enum class WeightFormat : uint8_t { kF32, kBF16, kInt8, kInt4 };

inline constexpr int64_t kGroupInputs = 32;

inline constexpr bool IsQuantised(WeightFormat format) {
  return format == WeightFormat::kInt8 || format == WeightFormat::kInt4;
}

// Bits of one weight in memory, its part of the scale included: 32, 16, 8.5, 4.5.
inline constexpr double BitsPerWeight(WeightFormat format) {
  constexpr double kScale = 16.0 / static_cast<double>(kGroupInputs);
  switch (format) {
    case WeightFormat::kF32:
      return 32;
    case WeightFormat::kBF16:
      return 16;
    case WeightFormat::kInt8:
      return 8 + kScale;
    case WeightFormat::kInt4:
      return 4 + kScale;
  }
  return 0;
}

// Weights stored in the type they are computed in. REQUIRES f32 or bf16.
WeightFormat FormatOf(DType compute_dtype);

std::string_view NameOf(WeightFormat format);  // "float32", "bfloat16", "int8", "int4"

}  // namespace autodist::core

#endif  // AUTODIST_CORE_WEIGHT_FORMAT_H_
