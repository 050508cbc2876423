// Exercise 1: one linear layer on several ranks. Write exercise1.cc.
//
// Shape letters: T tokens, K inputs, N outputs of the whole layer.
#ifndef DOCS_EXERCISES_PARALLEL_LINEAR_H_
#define DOCS_EXERCISES_PARALLEL_LINEAR_H_

#include <utility>

#include "autodist/comm/communicator.h"
#include "docs/exercises/matrix.h"

namespace autodist::exercises {

// y = x W^T + b. A model calls Forward() and does not know on how many ranks it runs.
class LinearLayer {
 public:
  // `bias` is [1, outputs].
  LinearLayer(Matrix weight, Matrix bias) : weight_(std::move(weight)), bias_(std::move(bias)) {}
  virtual ~LinearLayer() = default;
  virtual Matrix Forward(const Matrix& x) = 0;

  const Matrix& weight() const { return weight_; }  // what this rank holds
  const Matrix& bias() const { return bias_; }

 private:
  Matrix weight_;
  Matrix bias_;
};

// The whole layer on one rank.
class LocalLinear final : public LinearLayer {
 public:
  using LinearLayer::LinearLayer;
  Matrix Forward(const Matrix& x_TK) override {
    Matrix y_TN = MultiplyTransposed(x_TK, weight());
    AddBias(bias(), y_TN);
    return y_TN;
  }
};

// The outputs are split: with n ranks this one holds N / n rows of W and the same piece of the
// bias.
//
//       [ W_0 ]                  y_r = x W_r^T + b_r
//   W = [ ... ]                  y   = [y_0, ..., y_{n-1}]: the pieces side by side, in rank order
//       [ W_{n-1} ]
class ColumnParallelLinear final : public LinearLayer {
 public:
  // `comm` must outlive the layer.
  ColumnParallelLinear(Matrix weight_part, Matrix bias_part, bool gather_output,
                       comm::Communicator& comm)
      : LinearLayer(std::move(weight_part), std::move(bias_part)),
        gather_output_(gather_output),
        comm_(comm) {}

  // x [T, K], the same on every rank. Returns y_r [T, N / n], or y [T, N] with gather_output.
  Matrix Forward(const Matrix& x_TK) override;

 private:
  bool gather_output_;
  comm::Communicator& comm_;
};

// The inputs are split: this rank holds K / n columns of W and is given the same columns of x.
//
//   W = [W_0, ..., W_{n-1}]      y = sum over r of x_r W_r^T, then + b
class RowParallelLinear final : public LinearLayer {
 public:
  // The bias is the whole one, on every rank. `comm` must outlive the layer.
  RowParallelLinear(Matrix weight_part, Matrix whole_bias, comm::Communicator& comm)
      : LinearLayer(std::move(weight_part), std::move(whole_bias)), comm_(comm) {}

  // x_r [T, K / n]. Returns y [T, N], the same on every rank.
  Matrix Forward(const Matrix& x_TK) override;

 private:
  comm::Communicator& comm_;
};

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_PARALLEL_LINEAR_H_
