// The little matrix that the exercises compute with: values in row order, nothing fast, nothing
// hidden.
#ifndef DOCS_EXERCISES_MATRIX_H_
#define DOCS_EXERCISES_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/core/tensor_view.h"

namespace autodist::exercises {

class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols)
      : rows_(rows), cols_(cols), values_(static_cast<size_t>(rows * cols)) {}
  // REQUIRES values.size() == rows * cols.
  Matrix(int64_t rows, int64_t cols, std::vector<float> values)
      : rows_(rows), cols_(cols), values_(std::move(values)) {
    AUTODIST_CHECK(static_cast<int64_t>(values_.size()) == rows * cols);
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  float& at(int64_t row, int64_t col) { return values_[static_cast<size_t>(row * cols_ + col)]; }
  float at(int64_t row, int64_t col) const {
    return values_[static_cast<size_t>(row * cols_ + col)];
  }

  // What the communicator takes. Valid while the matrix lives and keeps its size.
  core::TensorView view() { return {values_.data(), rows_, cols_}; }
  core::ConstTensorView view() const { return {values_.data(), rows_, cols_}; }

  bool operator==(const Matrix&) const = default;

 private:
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  std::vector<float> values_;
};

// x W^T: x [T, K], weight [N, K], result [T, N].
inline Matrix MultiplyTransposed(const Matrix& x_TK, const Matrix& weight_NK) {
  AUTODIST_CHECK(x_TK.cols() == weight_NK.cols());
  Matrix y_TN(x_TK.rows(), weight_NK.rows());
  for (int64_t t = 0; t < y_TN.rows(); ++t) {
    for (int64_t n = 0; n < y_TN.cols(); ++n) {
      double sum = 0;
      for (int64_t k = 0; k < x_TK.cols(); ++k) sum += x_TK.at(t, k) * weight_NK.at(n, k);
      y_TN.at(t, n) = static_cast<float>(sum);
    }
  }
  return y_TN;
}

// Adds bias [1, N] to every row of y [T, N].
inline void AddBias(const Matrix& bias, Matrix& y_TN) {
  AUTODIST_CHECK(bias.rows() == 1 && bias.cols() == y_TN.cols());
  for (int64_t t = 0; t < y_TN.rows(); ++t) {
    for (int64_t n = 0; n < y_TN.cols(); ++n) y_TN.at(t, n) += bias.at(0, n);
  }
}

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_MATRIX_H_
