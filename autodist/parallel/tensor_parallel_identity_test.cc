// The identity behind tensor parallelism, as the primer states it:
//
//   act(x @ w1) @ w2  ==  act(x @ w11) @ w21 + act(x @ w12) @ w22
//
// with w1 split by columns into w11, w12 and w2 split by rows into w21, w22. It holds because act
// works element by element. With biases, b1 is split like w1's columns and b2 is added once, after
// the sum.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autodist/core/random.h"

namespace autodist::parallel {
namespace {

using Matrix = std::vector<std::vector<double>>;  // [rows][cols]

Matrix Random(size_t rows, size_t cols, uint64_t stream) {
  Matrix matrix(rows, std::vector<double>(cols));
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c)
      matrix[r][c] = core::UniformDouble(7, stream, r * cols + c) * 2 - 1;
  return matrix;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix product(a.size(), std::vector<double>(b[0].size()));
  for (size_t r = 0; r < a.size(); ++r)
    for (size_t c = 0; c < b[0].size(); ++c)
      for (size_t k = 0; k < b.size(); ++k) product[r][c] += a[r][k] * b[k][c];
  return product;
}

Matrix operator+(Matrix a, const Matrix& b) {
  for (size_t r = 0; r < a.size(); ++r)
    for (size_t c = 0; c < a[0].size(); ++c) a[r][c] += b[r][c];
  return a;
}

Matrix Relu(Matrix x) {
  for (auto& row : x)
    for (double& value : row) value = std::max(value, 0.0);
  return x;
}

Matrix Cols(const Matrix& m, size_t first, size_t last) {
  Matrix part;
  for (const auto& row : m)
    part.emplace_back(row.begin() + static_cast<long>(first),
                      row.begin() + static_cast<long>(last));
  return part;
}

Matrix Rows(const Matrix& m, size_t first, size_t last) {
  return {m.begin() + static_cast<long>(first), m.begin() + static_cast<long>(last)};
}

double MaxDifference(const Matrix& a, const Matrix& b) {
  double difference = 0;
  for (size_t r = 0; r < a.size(); ++r)
    for (size_t c = 0; c < a[0].size(); ++c)
      difference = std::max(difference, std::abs(a[r][c] - b[r][c]));
  return difference;
}

// x 1x16, w1 16x64 split by columns in two 16x32, w2 64x16 split by rows in two 32x16.
const Matrix x = Random(1, 16, 0);
const Matrix w1 = Random(16, 64, 1);
const Matrix w2 = Random(64, 16, 2);
const Matrix w11 = Cols(w1, 0, 32), w12 = Cols(w1, 32, 64);
const Matrix w21 = Rows(w2, 0, 32), w22 = Rows(w2, 32, 64);

TEST(TensorParallelIdentityTest, ColumnThenRowSplit) {
  const Matrix whole = Relu(x * w1) * w2;
  const Matrix split = Relu(x * w11) * w21 + Relu(x * w12) * w22;
  EXPECT_LT(MaxDifference(whole, split), 1e-12);
}

TEST(TensorParallelIdentityTest, BiasIsSplitInTheFirstLayerAndAddedOnceInTheSecond) {
  const Matrix b1 = Random(1, 64, 3), b2 = Random(1, 16, 4);
  const Matrix b11 = Cols(b1, 0, 32), b12 = Cols(b1, 32, 64);
  const Matrix whole = Relu(x * w1 + b1) * w2 + b2;
  const Matrix partial1 = Relu(x * w11 + b11) * w21;
  const Matrix partial2 = Relu(x * w12 + b12) * w22;
  EXPECT_LT(MaxDifference(whole, (partial1 + partial2) + b2), 1e-12);
  // The classic mistake: every rank adds the bias before the reduce, and it counts twice.
  EXPECT_GT(MaxDifference(whole, (partial1 + b2) + (partial2 + b2)), 0.01);
}

// A nonlinearity between a row split and the sum would not commute with it: why the split starts
// with columns.
TEST(TensorParallelIdentityTest, RowSplitFirstDoesNotWork) {
  const Matrix x1 = Cols(x, 0, 8), x2 = Cols(x, 8, 16);
  const Matrix whole = Relu(x * w1);
  const Matrix wrong = Relu(x1 * Rows(w1, 0, 8)) + Relu(x2 * Rows(w1, 8, 16));
  EXPECT_GT(MaxDifference(whole, wrong), 0.01);
}

}  // namespace
}  // namespace autodist::parallel
