// Tests only: reads a float32 matrix from a .npy file.
#ifndef AUTODIST_TESTS_GOLDEN_NPY_H_
#define AUTODIST_TESTS_GOLDEN_NPY_H_

#include <cstdint>
#include <filesystem>
#include <vector>

namespace autodist::testing {

struct Matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> values;
};

// Throws core::Error unless the file is version 1.0, little-endian f32, C order, two-dimensional.
Matrix ReadNpy(const std::filesystem::path& path);

// max|a - b| / max|b| and the same with root mean squares, over all elements.
struct RelativeError {
  double max = 0;
  double rms = 0;
};
RelativeError Compare(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace autodist::testing

#endif  // AUTODIST_TESTS_GOLDEN_NPY_H_
