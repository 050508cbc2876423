// NumPy's .npy format, version 1.0: one float32 matrix, little-endian, C order.
#ifndef AUTODIST_CLI_NPY_WRITER_H_
#define AUTODIST_CLI_NPY_WRITER_H_

#include <cstdint>
#include <filesystem>

#include "autodist/core/file.h"
#include "autodist/core/tensor_view.h"

namespace autodist::cli {

// A file of that name is always whole (core::AtomicFile). Throws core::Error when it cannot be
// created or written.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, int64_t rows, int64_t cols);

  void Append(core::ConstTensorView rows);  // f32, the next rows
  void Commit();                            // REQUIRES that all rows were appended

 private:
  core::AtomicFile file_;
  int64_t rows_left_;
  int64_t cols_;
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_NPY_WRITER_H_
