// What the tests of the exercises share.
#ifndef DOCS_EXERCISES_TESTING_H_
#define DOCS_EXERCISES_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "autodist/comm/thread_communicator.h"
#include "docs/exercises/matrix.h"

namespace autodist::exercises {

// Runs `body` on `ranks` rank threads. A rank that throws, for instance because its peers never
// entered a collective, fails the test.
inline void RunRanks(int ranks, const std::function<void(comm::Communicator&)>& body) {
  comm::CommOptions options;
  options.collective_timeout_s = 10;
  auto group = comm::CreateThreadGroup(ranks, options);
  std::vector<std::thread> threads;
  for (auto& member : group) {
    threads.emplace_back([&body, comm = std::move(member)] {
      try {
        body(*comm);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "rank " << comm->rank() << ": " << error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Values in (-1, 1) that differ from place to place and from `seed` to `seed`.
inline Matrix TestMatrix(int64_t rows, int64_t cols, int seed) {
  Matrix matrix(rows, cols);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      matrix.at(row, col) = static_cast<float>(std::sin(
          1.0 + seed * 7.3 + static_cast<double>(row) * 1.7 + static_cast<double>(col) * 0.61));
    }
  }
  return matrix;
}

inline Matrix Rows(const Matrix& matrix, int64_t first, int64_t count) {
  Matrix part(count, matrix.cols());
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t col = 0; col < matrix.cols(); ++col) {
      part.at(row, col) = matrix.at(first + row, col);
    }
  }
  return part;
}

inline Matrix Columns(const Matrix& matrix, int64_t first, int64_t count) {
  Matrix part(matrix.rows(), count);
  for (int64_t row = 0; row < matrix.rows(); ++row) {
    for (int64_t col = 0; col < count; ++col) part.at(row, col) = matrix.at(row, first + col);
  }
  return part;
}

// The rank-th of `ranks` equal pieces.
inline Matrix RowPiece(const Matrix& matrix, int rank, int ranks) {
  return Rows(matrix, matrix.rows() / ranks * rank, matrix.rows() / ranks);
}
inline Matrix ColumnPiece(const Matrix& matrix, int rank, int ranks) {
  return Columns(matrix, matrix.cols() / ranks * rank, matrix.cols() / ranks);
}

// Equal shapes, and values equal but for the order of sums: max|a - b| <= 1e-5 max|b|, the bound
// that autodist itself keeps for several ranks against one.
inline void ExpectNear(const Matrix& actual, const Matrix& expected) {
  ASSERT_EQ(actual.rows(), expected.rows());
  ASSERT_EQ(actual.cols(), expected.cols());
  float largest = 0;
  for (int64_t row = 0; row < expected.rows(); ++row) {
    for (int64_t col = 0; col < expected.cols(); ++col) {
      largest = std::max(largest, std::abs(expected.at(row, col)));
    }
  }
  for (int64_t row = 0; row < actual.rows(); ++row) {
    for (int64_t col = 0; col < actual.cols(); ++col) {
      ASSERT_NEAR(actual.at(row, col), expected.at(row, col), 1e-5 * largest)
          << "row " << row << ", column " << col;
    }
  }
}

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_TESTING_H_
