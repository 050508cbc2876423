#include "autodist/comm/reduce.h"

#include <algorithm>
#include <type_traits>

#include "autodist/core/check.h"

namespace autodist::comm {
namespace {

using core::BFloat16;
using core::DType;
using core::Float16;

// Accumulators of one block stay in the first-level cache while the sources stream past.
constexpr int64_t kBlock = 1024;

template <typename T>
struct Accumulator {
  using Type = std::make_unsigned_t<T>;  // wraps
};
template <>
struct Accumulator<float> {
  using Type = float;
};
template <>
struct Accumulator<BFloat16> {
  using Type = float;
};
template <>
struct Accumulator<Float16> {
  using Type = float;
};

template <typename T>
inline auto Load(T value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::make_unsigned_t<T>>(value);
  } else if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return core::ToFloat(value);
  }
}

template <typename T>
inline T Store(typename Accumulator<T>::Type value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return core::ToBFloat16(value);
  } else if constexpr (std::is_same_v<T, Float16>) {
    return core::ToFloat16(value);
  } else {
    return static_cast<T>(value);
  }
}

template <ReduceOp op, typename T, typename A>
inline A Combine(A a, A b) {
  if constexpr (op == ReduceOp::kSum) {
    return static_cast<A>(a + b);
  } else if constexpr (std::is_floating_point_v<A>) {
    return a >= b || a != a ? a : b;  // a NaN in either place is the result
  } else {
    return static_cast<T>(a) >= static_cast<T>(b) ? a : b;
  }
}

// The result may be one of the sources: each element is read before it is written, in the same
// iteration, so no dependence is carried from one iteration to the next and the loops may be
// vectorised ("ivdep").
template <ReduceOp op, typename T>
void ReduceTwo(const T* a, const T* b, int64_t elements, T* result) {
#pragma GCC ivdep
  for (int64_t i = 0; i < elements; ++i)
    result[i] = Store<T>(Combine<op, T>(Load(a[i]), Load(b[i])));
}

template <ReduceOp op, typename T>
void ReduceMany(std::span<const void* const> sources, int64_t elements, T* result) {
  typename Accumulator<T>::Type sums[kBlock];
  for (int64_t first = 0; first < elements; first += kBlock) {
    const int64_t count = std::min(kBlock, elements - first);
    const T* source = static_cast<const T*>(sources[0]) + first;
    for (int64_t i = 0; i < count; ++i) sums[i] = Load(source[i]);
    for (const void* other : sources.subspan(1)) {
      source = static_cast<const T*>(other) + first;
      for (int64_t i = 0; i < count; ++i) sums[i] = Combine<op, T>(sums[i], Load(source[i]));
    }
    for (int64_t i = 0; i < count; ++i) result[first + i] = Store<T>(sums[i]);
  }
}

template <ReduceOp op, typename T>
void Reduce(std::span<const void* const> sources, int64_t elements, void* result) {
  if (sources.size() == 2) {
    ReduceTwo<op, T>(static_cast<const T*>(sources[0]), static_cast<const T*>(sources[1]), elements,
                     static_cast<T*>(result));
  } else {
    ReduceMany<op, T>(sources, elements, static_cast<T*>(result));
  }
}

template <typename T>
void Reduce(ReduceOp op, std::span<const void* const> sources, int64_t elements, void* result) {
  if (op == ReduceOp::kSum) {
    Reduce<ReduceOp::kSum, T>(sources, elements, result);
  } else {
    Reduce<ReduceOp::kMax, T>(sources, elements, result);
  }
}

}  // namespace

void ReduceInOrder(ReduceOp op, DType dtype, std::span<const void* const> sources, int64_t elements,
                   void* result) {
  AUTODIST_CHECK(!sources.empty());
  switch (dtype) {
    case DType::kF32:
      return Reduce<float>(op, sources, elements, result);
    case DType::kF16:
      return Reduce<Float16>(op, sources, elements, result);
    case DType::kBF16:
      return Reduce<BFloat16>(op, sources, elements, result);
    case DType::kI32:
      return Reduce<int32_t>(op, sources, elements, result);
    case DType::kI64:
      return Reduce<int64_t>(op, sources, elements, result);
    case DType::kU8:
      return Reduce<uint8_t>(op, sources, elements, result);
  }
}

}  // namespace autodist::comm
