// Every op of kernels/ in double precision, one obvious loop each. Slow; what tests compare with.
//
// Matrices are row-major vectors of double; T tokens, D width, M N K as in matmul.h.
#ifndef AUTODIST_KERNELS_REFERENCE_REFERENCE_H_
#define AUTODIST_KERNELS_REFERENCE_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "autodist/kernels/activation.h"

namespace autodist::kernels::reference {

using Matrix = std::vector<double>;

// y [M, N] = x [M, K] * w [N, K]^T.
Matrix Linear(const Matrix& x, const Matrix& w, int64_t m, int64_t n, int64_t k);

// Rows of x [T, D]; bias may be empty.
Matrix RmsNorm(const Matrix& x, const Matrix& weight, double epsilon);
Matrix LayerNorm(const Matrix& x, const Matrix& weight, const Matrix& bias, double epsilon);

double Activate(ActivationKind kind, double x);

// One head [dim] turned to `position`; half pairing over 2 * frequencies elements.
void Rope(std::span<double> head, double position, std::span<const float> inverse_frequency,
          double attention_factor);

// One query against keys and values [tokens, dim] of its kv head: the keys in [first, last) only.
Matrix Attend(std::span<const double> q, const Matrix& keys, const Matrix& values, int64_t first,
              int64_t last, double scale);

}  // namespace autodist::kernels::reference

#endif  // AUTODIST_KERNELS_REFERENCE_REFERENCE_H_
