#include "autodist/kernels/reference/reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace autodist::kernels::reference {

Matrix Linear(const Matrix& x, const Matrix& w, int64_t m, int64_t n, int64_t k) {
  Matrix y(static_cast<size_t>(m * n), 0.0);
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t col = 0; col < n; ++col) {
      for (int64_t i = 0; i < k; ++i) y[row * n + col] += x[row * k + i] * w[col * k + i];
    }
  }
  return y;
}

Matrix RmsNorm(const Matrix& x, const Matrix& weight, double epsilon) {
  const size_t width = weight.size();
  Matrix y(x.size());
  for (size_t row = 0; row < x.size(); row += width) {
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += x[row + i] * x[row + i];
    const double root = std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (size_t i = 0; i < width; ++i) y[row + i] = x[row + i] / root * weight[i];
  }
  return y;
}

Matrix LayerNorm(const Matrix& x, const Matrix& weight, const Matrix& bias, double epsilon) {
  const size_t width = weight.size();
  Matrix y(x.size());
  for (size_t row = 0; row < x.size(); row += width) {
    double mean = 0;
    for (size_t i = 0; i < width; ++i) mean += x[row + i] / static_cast<double>(width);
    double variance = 0;
    for (size_t i = 0; i < width; ++i) {
      variance += (x[row + i] - mean) * (x[row + i] - mean) / static_cast<double>(width);
    }
    for (size_t i = 0; i < width; ++i) {
      y[row + i] = (x[row + i] - mean) / std::sqrt(variance + epsilon) * weight[i] +
                   (bias.empty() ? 0.0 : bias[i]);
    }
  }
  return y;
}

double Activate(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::kSilu:
      return x / (1 + std::exp(-x));
    case ActivationKind::kGelu:
      return x / 2 * std::erfc(-x / std::numbers::sqrt2);
    case ActivationKind::kGeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case ActivationKind::kRelu:
      return std::max(x, 0.0);
    case ActivationKind::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
  }
  return 0;
}

void Rope(std::span<double> head, double position, std::span<const float> inverse_frequency,
          double attention_factor) {
  const size_t pairs = inverse_frequency.size();
  for (size_t i = 0; i < pairs; ++i) {
    const double angle = position * static_cast<double>(inverse_frequency[i]);
    const double cos = std::cos(angle) * attention_factor;
    const double sin = std::sin(angle) * attention_factor;
    const double first = head[i];
    const double second = head[pairs + i];
    head[i] = first * cos - second * sin;
    head[pairs + i] = second * cos + first * sin;
  }
}

Matrix Attend(std::span<const double> q, const Matrix& keys, const Matrix& values, int64_t first,
              int64_t last, double scale) {
  const auto dim = static_cast<int64_t>(q.size());
  Matrix weights;
  double max = -1e300;
  for (int64_t token = first; token < last; ++token) {
    double score = 0;
    for (int64_t i = 0; i < dim; ++i) score += q[i] * keys[token * dim + i];
    weights.push_back(score * scale);
    max = std::max(max, weights.back());
  }
  double total = 0;
  for (double& weight : weights) total += weight = std::exp(weight - max);
  Matrix out(q.size(), 0.0);
  for (int64_t token = first; token < last; ++token) {
    for (int64_t i = 0; i < dim; ++i)
      out[i] += weights[token - first] / total * values[token * dim + i];
  }
  return out;
}

}  // namespace autodist::kernels::reference
