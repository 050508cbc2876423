#include "autodist/trace/byte_source.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::trace {
namespace {

class FileBytes final : public ByteSource {
 public:
  explicit FileBytes(core::InputFile file) : file_(std::move(file)) {}

  size_t Read(char* to, size_t max) override {
    const size_t bytes = std::min<uint64_t>(max, file_.size() - at_);
    file_.ReadAt(at_, to, bytes);
    at_ += bytes;
    return bytes;
  }

 private:
  core::InputFile file_;
  uint64_t at_ = 0;
};

class GzipBytes final : public ByteSource {
 public:
  GzipBytes(std::unique_ptr<ByteSource> packed, std::string file)
      : packed_(std::move(packed)), file_(std::move(file)), input_(size_t{256} << 10) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    AUTODIST_CHECK_EQ(inflateInit2(&stream_, kGzipOnly), Z_OK);
  }
  ~GzipBytes() override { inflateEnd(&stream_); }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;

  size_t Read(char* to, size_t max) override {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(std::min(max, size_t{1} << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !Fill()) {
        if (between_members_) return 0;
        throw core::BadInput("{}: truncated: the gzip data ends early, at byte {}", file_,
                             Position());
      }
      if (between_members_) {
        inflateReset(&stream_);
        between_members_ = false;
      }
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        between_members_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw core::BadInput("{}: damaged gzip data near byte {}: {}", file_, Position(),
                             stream_.msg == nullptr ? "it cannot be inflated" : stream_.msg);
      }
    }
    return wanted - stream_.avail_out;
  }

 private:
  bool Fill() {
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(packed_->Read(input_.data(), input_.size()));
    read_ += stream_.avail_in;
    return stream_.avail_in > 0;
  }
  uint64_t Position() const { return read_ - stream_.avail_in + 1; }

  std::unique_ptr<ByteSource> packed_;
  std::string file_;
  std::vector<char> input_;
  z_stream stream_ = {};
  uint64_t read_ = 0;
  bool between_members_ = false;
};

}  // namespace

size_t TextBytes::Read(char* to, size_t max) {
  const size_t bytes = std::min(max, text_.size());
  std::memcpy(to, text_.data(), bytes);
  text_.remove_prefix(bytes);
  return bytes;
}

std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path))
    throw core::BadInput("{}: is a directory; name the trace files in it", path.string());
  core::InputFile file(path);
  constexpr std::string_view kMagic = "\x1f\x8b";
  char begin[2] = {};
  const bool gzip = file.size() >= sizeof(begin) &&
                    (file.ReadAt(0, begin, sizeof(begin)), std::string_view(begin, 2) == kMagic);
  auto bytes = std::make_unique<FileBytes>(std::move(file));
  if (!gzip) return bytes;
  return std::make_unique<GzipBytes>(std::move(bytes), path.string());
}

}  // namespace autodist::trace
