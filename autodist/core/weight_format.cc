#include "autodist/core/weight_format.h"

#include "autodist/core/check.h"

namespace autodist::core {

WeightFormat FormatOf(DType compute_dtype) {
  AUTODIST_CHECK(compute_dtype == DType::kF32 || compute_dtype == DType::kBF16);
  return compute_dtype == DType::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16;
}

std::string_view NameOf(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "float32";
    case WeightFormat::kBF16:
      return "bfloat16";
    case WeightFormat::kInt8:
      return "int8";
    case WeightFormat::kInt4:
      return "int4";
  }
  CheckFailed(__FILE__, __LINE__, "unknown WeightFormat");
}

}  // namespace autodist::core
