#include "autodist/core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::core {

InputFile::InputFile(std::filesystem::path path) : path_(std::move(path)) {
  struct stat info {};
  // stat before open: opening a FIFO would block until somebody writes to it.
  if (::stat(path_.c_str(), &info) != 0)
    throw BadInput("{}: cannot be read: {}", path_.string(), std::strerror(errno));
  if (!S_ISREG(info.st_mode)) throw BadInput("{}: is not a regular file", path_.string());
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0)
    throw BadInput("{}: cannot be opened: {}", path_.string(), std::strerror(errno));
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

void InputFile::ReadAt(uint64_t offset, void* buffer, size_t bytes) const {
  char* out = static_cast<char*>(buffer);
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(descriptor_, out + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw RuntimeFailure("{}: read failed: {}", path_.string(), std::strerror(errno));
    if (got == 0)
      throw BadInput("{}: truncated: need {} bytes, have {}", path_.string(), offset + bytes,
                     offset + done);
    done += static_cast<size_t>(got);
  }
}

std::string ReadFile(const std::filesystem::path& path, uint64_t max_bytes) {
  const InputFile file(path);
  if (file.size() > max_bytes)
    throw BadInput("{}: has {} bytes, at most {} are read", path.string(), file.size(), max_bytes);
  std::string content(file.size(), '\0');
  file.ReadAt(0, content.data(), content.size());
  return content;
}

std::string ReadFirstLine(const std::filesystem::path& path) {
  constexpr uint64_t kMaxBytes = uint64_t{64} << 10;
  const InputFile file(path);
  std::string line(std::min(file.size(), kMaxBytes), '\0');
  file.ReadAt(0, line.data(), line.size());
  line.resize(std::min(line.find('\n'), line.size()));
  return line;
}

std::filesystem::path ReplaceableFile(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw BadInput("{}: is not a regular file, so it is not replaced", path.string());
  std::filesystem::path target = path;
  constexpr int kMostLinks = 40;  // as the kernel follows
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(target, error); ++i)
    target = target.parent_path() / std::filesystem::read_symlink(target, error);
  return target;
}

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(ReplaceableFile(path)),
      temporary_(fmt::format("{}.tmp.{}", path_.string(), ::getpid())) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0)
    throw BadInput("{}: cannot be created: {}", path_.string(), std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::Write(std::string_view content) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(descriptor_, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0)
      throw RuntimeFailure("{}: cannot be written: {}", path_.string(), std::strerror(errno));
    content.remove_prefix(static_cast<size_t>(wrote));
  }
}

void AtomicFile::Commit() {
  int error = ::fsync(descriptor_) != 0 ? errno : 0;
  if (::close(std::exchange(descriptor_, -1)) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary_.c_str(), path_.c_str()) != 0) error = errno;
  if (error == 0) return;
  ::unlink(temporary_.c_str());
  throw RuntimeFailure("{}: cannot be written: {}", path_.string(), std::strerror(error));
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.Write(content);
  file.Commit();
}

}  // namespace autodist::core
