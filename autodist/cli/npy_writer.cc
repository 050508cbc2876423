#include "autodist/cli/npy_writer.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "autodist/core/check.h"

namespace autodist::cli {

NpyWriter::NpyWriter(const std::filesystem::path& path, int64_t rows, int64_t cols)
    : file_(path), rows_left_(rows), cols_(cols) {
  // Magic, version 1.0, and the length of the rest, which ends with a newline on a multiple of 64
  // bytes.
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, cols);
  constexpr size_t kPrefix = 10;
  header.append(63 - (kPrefix + header.size()) % 64, ' ');
  header += '\n';
  std::string prefix = "\x93NUMPY\x01";
  prefix += '\0';
  prefix += static_cast<char>(header.size() & 0xff);
  prefix += static_cast<char>(header.size() >> 8);
  file_.Write(prefix);
  file_.Write(header);
}

void NpyWriter::Append(core::ConstTensorView rows) {
  AUTODIST_CHECK(rows.cols() == cols_ && rows.rows() <= rows_left_);
  for (int64_t r = 0; r < rows.rows(); ++r)
    file_.Write({reinterpret_cast<const char*>(rows.row<float>(r)),
                 static_cast<size_t>(cols_) * sizeof(float)});
  rows_left_ -= rows.rows();
}

void NpyWriter::Commit() {
  AUTODIST_CHECK_EQ(rows_left_, 0);
  file_.Commit();
}

}  // namespace autodist::cli
