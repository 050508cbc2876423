#include "tests/golden/npy.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::testing {

Matrix ReadNpy(const std::filesystem::path& path) {
  const std::string content = core::ReadFile(path, uint64_t{1} << 30);
  constexpr size_t kPrefix = 10;
  if (content.size() < kPrefix || content.compare(0, 8, std::string("\x93NUMPY\x01\0", 8)) != 0)
    throw core::BadInput("{}: is no .npy file of version 1.0", path.string());
  const size_t header_bytes =
      static_cast<unsigned char>(content[8]) + 256u * static_cast<unsigned char>(content[9]);
  const std::string header = content.substr(kPrefix, header_bytes);
  const size_t shape = header.find("'shape': (");
  Matrix matrix;
  if (header.find("'descr': '<f4'") == std::string::npos ||
      header.find("'fortran_order': False") == std::string::npos || shape == std::string::npos ||
      std::sscanf(header.c_str() + shape, "'shape': (%ld, %ld)", &matrix.rows, &matrix.cols) != 2)
    throw core::BadInput("{}: is no float32 matrix in C order: {}", path.string(), header);
  matrix.values.resize(static_cast<size_t>(matrix.rows * matrix.cols));
  if (content.size() != kPrefix + header_bytes + matrix.values.size() * sizeof(float))
    throw core::BadInput("{}: has {} bytes, its shape asks for others", path.string(),
                         content.size());
  std::memcpy(matrix.values.data(), content.data() + kPrefix + header_bytes,
              matrix.values.size() * sizeof(float));
  return matrix;
}

RelativeError Compare(const std::vector<float>& a, const std::vector<float>& b) {
  AUTODIST_CHECK_EQ(a.size(), b.size());
  double max_difference = 0, max_value = 0, square_difference = 0, square_value = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    if (std::isnan(difference))
      return {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    max_difference = std::max(max_difference, difference);
    max_value = std::max(max_value, std::abs(double{b[i]}));
    square_difference += difference * difference;
    square_value += double{b[i]} * b[i];
  }
  return {max_difference / max_value, std::sqrt(square_difference / square_value)};
}

}  // namespace autodist::testing
