// Bytes in a row: a file, what a gzip file holds, a text in memory.
#ifndef AUTODIST_TRACE_BYTE_SOURCE_H_
#define AUTODIST_TRACE_BYTE_SOURCE_H_

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace autodist::trace {

// One thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `max` bytes, at least one unless the source is at its end; 0: it is. Throws core::Error.
  // REQUIRES max > 0.
  virtual size_t Read(char* to, size_t max) = 0;
};

// `text` must outlive this.
class TextBytes final : public ByteSource {
 public:
  explicit TextBytes(std::string_view text) : text_(text) {}
  size_t Read(char* to, size_t max) override;

 private:
  std::string_view text_;
};

// The file's bytes, inflated when it begins like a gzip file (several members in a row are one
// text). Throws core::Error (bad input): absent, a directory; while reading, with the byte of the
// file: damaged or truncated gzip.
std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_BYTE_SOURCE_H_
