#include "autodist/comm/reduce.h"

#include <immintrin.h>

#include <type_traits>

#include "autodist/core/check.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace autodist::comm {
namespace {

// clang-format off
#include "autodist/kernels/cpu/vec_avx2-inl.h"
// clang-format on

// A NaN in either place is the result.
inline Vec MaxOrNan(Vec a, Vec b) {
  return _mm256_blendv_ps(Max(b, a), b, _mm256_cmp_ps(b, b, _CMP_UNORD_Q));
}

// The result may be one of the sources: each element is read before it is written, in the same
// iteration, so no dependence is carried from one iteration to the next.
template <ReduceOp op, typename T>
inline void ReduceFloatsOf(const void* const* sources, size_t count, int64_t elements, T* result) {
  const auto fold = [&](const auto& load) {
    Vec sum = load(static_cast<const T*>(sources[0]));
    for (size_t i = 1; i < count; ++i) {
      const Vec next = load(static_cast<const T*>(sources[i]));
      sum = op == ReduceOp::kSum ? sum + next : MaxOrNan(sum, next);
    }
    return sum;
  };
  int64_t i = 0;
  for (; i + kLanes <= elements; i += kLanes)
    Store(fold([i](const T* source) { return Load(source + i); }), result + i);
  if (const int64_t rest = elements - i; rest != 0)
    StoreN(fold([i, rest](const T* source) { return LoadN(source + i, rest); }), result + i, rest);
}

template <ReduceOp op, typename T>
void ReduceFloats(const void* const* sources, size_t count, int64_t elements, T* result) {
  if (count == 2) {  // the common case: a constant, which unrolls the loop over the sources
    const void* const two[] = {sources[0], sources[1]};
    ReduceFloatsOf<op>(two, 2, elements, result);
  } else {
    ReduceFloatsOf<op>(sources, count, elements, result);
  }
}

template <ReduceOp op, typename T>
void ReduceIntegers(const void* const* sources, size_t count, int64_t elements, T* result) {
  using Wrapping = std::make_unsigned_t<T>;
  constexpr int64_t kBlock = 1024;  // stays in the first-level cache while the sources stream past
  T sums[kBlock];
  for (int64_t first = 0; first < elements; first += kBlock) {
    const int64_t block = elements - first < kBlock ? elements - first : kBlock;
    const T* source = static_cast<const T*>(sources[0]) + first;
    for (int64_t i = 0; i < block; ++i) sums[i] = source[i];
    for (size_t other = 1; other < count; ++other) {
      source = static_cast<const T*>(sources[other]) + first;
      for (int64_t i = 0; i < block; ++i) {
        if constexpr (op == ReduceOp::kSum) {
          sums[i] = static_cast<T>(static_cast<Wrapping>(static_cast<Wrapping>(sums[i]) +
                                                         static_cast<Wrapping>(source[i])));
        } else {
          sums[i] = sums[i] >= source[i] ? sums[i] : source[i];
        }
      }
    }
    for (int64_t i = 0; i < block; ++i) result[first + i] = sums[i];
  }
}

template <typename T>
void Reduce(ReduceOp op, const void* const* sources, size_t count, int64_t elements, void* result) {
  T* const to = static_cast<T*>(result);
  const bool sum = op == ReduceOp::kSum;
  if constexpr (std::is_integral_v<T>) {
    sum ? ReduceIntegers<ReduceOp::kSum>(sources, count, elements, to)
        : ReduceIntegers<ReduceOp::kMax>(sources, count, elements, to);
  } else {
    sum ? ReduceFloats<ReduceOp::kSum>(sources, count, elements, to)
        : ReduceFloats<ReduceOp::kMax>(sources, count, elements, to);
  }
}

}  // namespace
}  // namespace autodist::comm
#pragma GCC pop_options

namespace autodist::comm {

void ReduceInOrder(ReduceOp op, core::DType dtype, std::span<const void* const> sources,
                   int64_t elements, void* result) {
  AUTODIST_CHECK(!sources.empty());
  const auto reduce = [&](auto tag) {
    Reduce<decltype(tag)>(op, sources.data(), sources.size(), elements, result);
  };
  switch (dtype) {
    case core::DType::kF32:
      return reduce(float{});
    case core::DType::kF16:
      return reduce(core::Float16{});
    case core::DType::kBF16:
      return reduce(core::BFloat16{});
    case core::DType::kI32:
      return reduce(int32_t{});
    case core::DType::kI64:
      return reduce(int64_t{});
    case core::DType::kU8:
      return reduce(uint8_t{});
  }
}

}  // namespace autodist::comm
