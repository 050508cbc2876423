// Tensors for tests of communicators: what every rank gives, and what must come out of it.
#ifndef AUTODIST_COMM_CONFORMANCE_DATA_H_
#define AUTODIST_COMM_CONFORMANCE_DATA_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "autodist/comm/communicator.h"

namespace autodist::comm {

using core::DType;

inline constexpr DType kAllDTypes[] = {DType::kF32, DType::kBF16, DType::kF16,
                                       DType::kI32, DType::kI64,  DType::kU8};
// Nothing, one, odd, around the sizes of chunks and slots, several MiB.
inline constexpr int64_t kCounts[] = {0, 1, 3, 67, 1000, 8192, 8193, 70001};
inline constexpr int64_t kManyCount = 1'300'003;

// A tensor that owns its bytes, one row.
struct Tensor {
  Tensor(DType type, int64_t elements)
      : dtype(type),
        count(elements),
        bytes(static_cast<size_t>(elements) * core::SizeOf(type) + 1, std::byte{0xa5}) {}
  core::TensorView view() { return {bytes.data(), dtype, 1, count}; }
  // Elements [first, first + n).
  core::TensorView part(int64_t first, int64_t n) { return view().Cols(first, n); }

  DType dtype;
  int64_t count;
  std::vector<std::byte> bytes;  // and one more, which nobody may touch
};

// Element `index` of what `rank` gives: signed, with many exponents, so that the order of a sum
// shows in its bits.
inline float InputValue(int rank, int64_t index) {
  uint64_t x = static_cast<uint64_t>(index) * 0x9e3779b97f4a7c15u +
               static_cast<uint64_t>(rank + 1) * 0xd1b54a32d192ed03u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  const int exponent = static_cast<int>(x >> 60) - 8;
  return std::ldexp(static_cast<float>(static_cast<int32_t>(x >> 20)) * 0x1p-31f, exponent);
}

inline void SetElement(Tensor& tensor, int64_t index, float value) {
  std::byte* at = tensor.bytes.data() + static_cast<size_t>(index) * core::SizeOf(tensor.dtype);
  const auto put = [&](auto element) { std::memcpy(at, &element, sizeof(element)); };
  switch (tensor.dtype) {
    case DType::kF32:
      return put(value);
    case DType::kF16:
      return put(core::ToFloat16(value));
    case DType::kBF16:
      return put(core::ToBFloat16(value));
    case DType::kI32:
      return put(static_cast<int32_t>(value * 0x1p20f));
    case DType::kI64:
      return put(static_cast<int64_t>(value * 0x1p50f));
    case DType::kU8:
      return put(static_cast<uint8_t>(static_cast<int>(value * 100) & 0xff));
  }
}

inline Tensor Input(DType dtype, int64_t count, int rank, int64_t first = 0) {
  Tensor tensor(dtype, count);
  for (int64_t i = 0; i < count; ++i) SetElement(tensor, i, InputValue(rank, first + i));
  return tensor;
}

template <typename T>
T ElementOf(const Tensor& tensor, int64_t index) {
  T value;
  std::memcpy(&value, tensor.bytes.data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

// The sum or maximum over the ranks, written down as plainly as it is promised.
inline Tensor Reference(DType dtype, int64_t count, int ranks, ReduceOp op, int64_t first = 0) {
  std::vector<Tensor> inputs;
  for (int rank = 0; rank < ranks; ++rank) inputs.push_back(Input(dtype, count, rank, first));
  Tensor result(dtype, count);
  const auto fold = [&](auto tag, const auto& widen, const auto& narrow) {
    using T = decltype(tag);
    for (int64_t i = 0; i < count; ++i) {
      auto sum = widen(ElementOf<T>(inputs[0], i));
      for (int rank = 1; rank < ranks; ++rank) {
        const auto value = widen(ElementOf<T>(inputs[rank], i));
        sum = static_cast<decltype(sum)>(op == ReduceOp::kSum ? sum + value : std::max(sum, value));
      }
      const T element = narrow(sum);
      std::memcpy(result.bytes.data() + static_cast<size_t>(i) * sizeof(T), &element, sizeof(T));
    }
  };
  const auto same = [](auto x) { return x; };
  switch (dtype) {
    case DType::kF32:
      fold(float{}, same, same);
      break;
    case DType::kF16:
      fold(
          core::Float16{}, [](core::Float16 x) { return core::ToFloat(x); }, core::ToFloat16);
      break;
    case DType::kBF16:
      fold(
          core::BFloat16{}, [](core::BFloat16 x) { return core::ToFloat(x); }, core::ToBFloat16);
      break;
    case DType::kI32:
      fold(int32_t{}, same, same);
      break;
    case DType::kI64:
      fold(int64_t{}, same, same);
      break;
    case DType::kU8:
      fold(uint8_t{}, same, same);
      break;
  }
  return result;
}

// Equal bits, and nothing written behind the end.
inline testing::AssertionResult SameBits(const Tensor& got, const Tensor& want) {
  if (got.bytes == want.bytes) return testing::AssertionSuccess();
  const auto differing =
      std::mismatch(got.bytes.begin(), got.bytes.end(), want.bytes.begin(), want.bytes.end());
  return testing::AssertionFailure()
         << core::NameOf(got.dtype) << " x " << got.count << " differs from byte "
         << differing.first - got.bytes.begin();
}

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CONFORMANCE_DATA_H_
