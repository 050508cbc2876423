// Solution of exercise 1; solutions.md explains it.
#include "docs/exercises/parallel_linear.h"

namespace autodist::exercises {

Matrix ColumnParallelLinear::Forward(const Matrix& x_TK) {
  Matrix part = MultiplyTransposed(x_TK, weight());
  AddBias(bias(), part);
  if (!gather_output_) return part;

  // The parts arrive one below the other: rank r fills rows [r * T, (r + 1) * T).
  Matrix stacked(part.rows() * comm_.size(), part.cols());
  comm_.AllGather(part.view(), stacked.view()).Wait();
  Matrix y_TN(part.rows(), part.cols() * comm_.size());
  for (int64_t rank = 0; rank < comm_.size(); ++rank) {
    for (int64_t t = 0; t < part.rows(); ++t) {
      for (int64_t n = 0; n < part.cols(); ++n) {
        y_TN.at(t, rank * part.cols() + n) = stacked.at(rank * part.rows() + t, n);
      }
    }
  }
  return y_TN;
}

Matrix RowParallelLinear::Forward(const Matrix& x_TK) {
  Matrix y_TN = MultiplyTransposed(x_TK, weight());
  comm_.AllReduce(y_TN.view()).Wait();
  AddBias(bias(), y_TN);
  return y_TN;
}

}  // namespace autodist::exercises
