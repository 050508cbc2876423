#include "autodist/cli/npy_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::cli {

NpyWriter::NpyWriter(const std::filesystem::path& path, int64_t rows, int64_t cols)
    : path_(core::ReplaceableFile(path)),
      temporary_(fmt::format("{}.tmp.{}", path_.string(), ::getpid())),
      rows_left_(rows),
      cols_(cols) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0)
    throw core::BadInput("{}: cannot be created: {}", path_.string(), std::strerror(errno));
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
  Write(prefix.data(), prefix.size());
  Write(header.data(), header.size());
}

NpyWriter::~NpyWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void NpyWriter::Append(core::ConstTensorView rows) {
  AUTODIST_CHECK(rows.cols() == cols_ && rows.rows() <= rows_left_);
  for (int64_t r = 0; r < rows.rows(); ++r)
    Write(rows.row<float>(r), static_cast<size_t>(cols_) * sizeof(float));
  rows_left_ -= rows.rows();
}

void NpyWriter::Commit() {
  AUTODIST_CHECK_EQ(rows_left_, 0);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    throw core::RuntimeFailure("{}: cannot be written: {}", path_.string(), std::strerror(error));
  }
}

void NpyWriter::Write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t wrote = ::write(descriptor_, at, bytes);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0)
      throw core::RuntimeFailure("{}: cannot be written: {}", path_.string(), std::strerror(errno));
    at += wrote;
    bytes -= static_cast<size_t>(wrote);
  }
}

}  // namespace autodist::cli
