// The decoder layer of exercise 3: attention and a gated feed-forward part, each with a residual
// connection. It is written for one device and asks nobody how many ranks there are: that is
// decided by the linear layers it is given.
#ifndef DOCS_EXERCISES_DECODER_LAYER_H_
#define DOCS_EXERCISES_DECODER_LAYER_H_

#include <cmath>
#include <memory>
#include <vector>

#include "docs/exercises/matrix.h"
#include "docs/exercises/parallel_linear.h"

namespace autodist::exercises {

struct DecoderLayer {
  std::unique_ptr<LinearLayer> q_proj, k_proj, v_proj, o_proj;
  std::unique_ptr<LinearLayer> gate_proj, up_proj, down_proj;
  int64_t head_dim = 0;

  // x [T, D] -> [T, D]
  Matrix Forward(const Matrix& x_TD) const;
};

// Causal attention over as many heads as q has columns for. q, k, v, result: [T, heads * head_dim].
inline Matrix Attention(const Matrix& q, const Matrix& k, const Matrix& v, int64_t head_dim) {
  Matrix result(q.rows(), q.cols());
  for (int64_t first = 0; first < q.cols(); first += head_dim) {  // one head
    for (int64_t t = 0; t < q.rows(); ++t) {
      std::vector<double> weights;
      double sum = 0;
      for (int64_t seen = 0; seen <= t; ++seen) {
        double score = 0;
        for (int64_t d = first; d < first + head_dim; ++d) score += q.at(t, d) * k.at(seen, d);
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim))));
        sum += weights.back();
      }
      for (int64_t d = first; d < first + head_dim; ++d) {
        double value = 0;
        for (int64_t seen = 0; seen <= t; ++seen) {
          value += weights[static_cast<size_t>(seen)] / sum * v.at(seen, d);
        }
        result.at(t, d) = static_cast<float>(value);
      }
    }
  }
  return result;
}

inline Matrix Add(const Matrix& a, const Matrix& b) {
  AUTODIST_CHECK(a.rows() == b.rows() && a.cols() == b.cols());
  Matrix sum(a.rows(), a.cols());
  for (int64_t row = 0; row < a.rows(); ++row) {
    for (int64_t col = 0; col < a.cols(); ++col) sum.at(row, col) = a.at(row, col) + b.at(row, col);
  }
  return sum;
}

// silu(gate) * up
inline Matrix Gate(const Matrix& gate, const Matrix& up) {
  Matrix product(gate.rows(), gate.cols());
  for (int64_t row = 0; row < gate.rows(); ++row) {
    for (int64_t col = 0; col < gate.cols(); ++col) {
      const float x = gate.at(row, col);
      product.at(row, col) = x / (1 + std::exp(-x)) * up.at(row, col);
    }
  }
  return product;
}

inline Matrix DecoderLayer::Forward(const Matrix& x_TD) const {
  const Matrix attended =
      Attention(q_proj->Forward(x_TD), k_proj->Forward(x_TD), v_proj->Forward(x_TD), head_dim);
  const Matrix middle_TD = Add(x_TD, o_proj->Forward(attended));
  const Matrix gated = Gate(gate_proj->Forward(middle_TD), up_proj->Forward(middle_TD));
  return Add(middle_TD, down_proj->Forward(gated));
}

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_DECODER_LAYER_H_
