// NumPy's .npy format, version 1.0: one float32 matrix, little-endian, C order.
#ifndef AUTODIST_CLI_NPY_WRITER_H_
#define AUTODIST_CLI_NPY_WRITER_H_

#include <cstdint>
#include <filesystem>

#include "autodist/core/tensor_view.h"

namespace autodist::cli {

// Writes beside `path` and renames at the end: a file of that name is always whole. Throws
// core::Error when the file cannot be created or written.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, int64_t rows, int64_t cols);
  ~NpyWriter();  // without Commit() nothing is left
  NpyWriter(const NpyWriter&) = delete;
  NpyWriter& operator=(const NpyWriter&) = delete;

  void Append(core::ConstTensorView rows);  // f32, the next rows
  void Commit();                            // REQUIRES that all rows were appended

 private:
  void Write(const void* data, size_t bytes);

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  int64_t rows_left_;
  int64_t cols_;
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_NPY_WRITER_H_
