// Views of tensors that somebody else owns.
#ifndef AUTODIST_CORE_TENSOR_VIEW_H_
#define AUTODIST_CORE_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/check.h"
#include "autodist/core/dtype.h"

namespace autodist::core {

template <typename T>
struct TypeOf;
template <>
struct TypeOf<float> {
  static constexpr DType kDType = DType::kF32;
};
template <>
struct TypeOf<BFloat16> {
  static constexpr DType kDType = DType::kBF16;
};
template <>
struct TypeOf<Float16> {
  static constexpr DType kDType = DType::kF16;
};
template <>
struct TypeOf<int32_t> {
  static constexpr DType kDType = DType::kI32;
};
template <>
struct TypeOf<int64_t> {
  static constexpr DType kDType = DType::kI64;
};
template <>
struct TypeOf<uint8_t> {
  static constexpr DType kDType = DType::kU8;
};

// A matrix of `rows` x `cols` elements; each row is contiguous, rows are `stride` elements apart. A
// vector is one row. Never owns: the memory must outlive the view. Copyable; two words more than a
// pointer.
class TensorView {
 public:
  TensorView() = default;
  TensorView(void* data, DType dtype, int64_t rows, int64_t cols)
      : TensorView(data, dtype, rows, cols, cols) {}
  TensorView(void* data, DType dtype, int64_t rows, int64_t cols, int64_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride), dtype_(dtype) {}
  template <typename T>
  TensorView(T* data, int64_t rows, int64_t cols)
      : TensorView(data, TypeOf<T>::kDType, rows, cols) {}

  void* data() const { return data_; }
  DType dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }  // elements between row starts, >= cols
  int64_t elements() const { return rows_ * cols_; }
  size_t bytes() const { return static_cast<size_t>(elements()) * SizeOf(dtype_); }
  bool contiguous() const { return stride_ == cols_ || rows_ <= 1; }

  // REQUIRES T is the element type and row is in [0, rows()).
  template <typename T>
  T* row(int64_t row) const {
    AUTODIST_CHECK(TypeOf<T>::kDType == dtype_);
    return static_cast<T*>(data_) + row * stride_;
  }
  // Rows [first, first + count).
  TensorView Rows(int64_t first, int64_t count) const {
    AUTODIST_CHECK(first >= 0 && count >= 0 && first + count <= rows_);
    return {static_cast<uint8_t*>(data_) + static_cast<size_t>(first * stride_) * SizeOf(dtype_),
            dtype_, count, cols_, stride_};
  }
  // Columns [first, first + count) of every row.
  TensorView Cols(int64_t first, int64_t count) const {
    AUTODIST_CHECK(first >= 0 && count >= 0 && first + count <= cols_);
    return {static_cast<uint8_t*>(data_) + static_cast<size_t>(first) * SizeOf(dtype_), dtype_,
            rows_, count, stride_};
  }

 private:
  void* data_ = nullptr;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t stride_ = 0;
  DType dtype_ = DType::kF32;
};

// The same, read-only.
class ConstTensorView {
 public:
  ConstTensorView() = default;
  ConstTensorView(const void* data, DType dtype, int64_t rows, int64_t cols)
      : ConstTensorView(data, dtype, rows, cols, cols) {}
  ConstTensorView(const void* data, DType dtype, int64_t rows, int64_t cols, int64_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride), dtype_(dtype) {}
  template <typename T>
  ConstTensorView(const T* data, int64_t rows, int64_t cols)
      : ConstTensorView(data, TypeOf<T>::kDType, rows, cols) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a writable view is a readable one.
  ConstTensorView(TensorView view)
      : ConstTensorView(view.data(), view.dtype(), view.rows(), view.cols(), view.stride()) {}

  const void* data() const { return data_; }
  DType dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }
  int64_t elements() const { return rows_ * cols_; }
  size_t bytes() const { return static_cast<size_t>(elements()) * SizeOf(dtype_); }
  bool contiguous() const { return stride_ == cols_ || rows_ <= 1; }

  template <typename T>
  const T* row(int64_t row) const {
    AUTODIST_CHECK(TypeOf<T>::kDType == dtype_);
    return static_cast<const T*>(data_) + row * stride_;
  }
  ConstTensorView Rows(int64_t first, int64_t count) const {
    AUTODIST_CHECK(first >= 0 && count >= 0 && first + count <= rows_);
    return {
        static_cast<const uint8_t*>(data_) + static_cast<size_t>(first * stride_) * SizeOf(dtype_),
        dtype_, count, cols_, stride_};
  }
  ConstTensorView Cols(int64_t first, int64_t count) const {
    AUTODIST_CHECK(first >= 0 && count >= 0 && first + count <= cols_);
    return {static_cast<const uint8_t*>(data_) + static_cast<size_t>(first) * SizeOf(dtype_),
            dtype_, rows_, count, stride_};
  }

 private:
  const void* data_ = nullptr;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t stride_ = 0;
  DType dtype_ = DType::kF32;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_TENSOR_VIEW_H_
