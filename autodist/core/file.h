// Files: bounded reads, descriptors that close themselves, and writes that are either whole or
// absent.
#ifndef AUTODIST_CORE_FILE_H_
#define AUTODIST_CORE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace autodist::core {

// The whole file. Throws core::Error (bad input) naming the file when it is absent, not a regular
// file, unreadable or larger than `max_bytes`.
std::string ReadFile(const std::filesystem::path& path, uint64_t max_bytes);

// The first line of a log or a message, without its line feed; of a longer one the first 64 KiB.
// Throws as above, whatever the size of the file.
std::string ReadFirstLine(const std::filesystem::path& path);

// What a whole new file may be renamed to so that it is found at `path`: `path`, or what it links
// to. Throws core::Error (bad input) when something other than a regular file is there.
std::filesystem::path ReplaceableFile(const std::filesystem::path& path);

// A new file that appears whole or not at all: written under a temporary name beside `path`. One
// thread.
class AtomicFile {
 public:
  // Throws core::Error (bad input): the directory is missing or not writable, or something other
  // than a regular file is there.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();  // without Commit() nothing is left
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Both throw core::Error (runtime): a full disk.
  void Write(std::string_view content);
  void Commit();  // fsyncs, and renames over `path`: readers see the old file or the new one

 private:
  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
};

// Writes `content` to a temporary name beside `path`, fsyncs, and renames over `path`: readers see
// the old file or the whole new one. Throws core::Error (runtime; bad input when the directory is
// missing or not writable).
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// An open read-only regular file. Movable, closes itself. Safe to read from several threads.
class InputFile {
 public:
  // Throws core::Error (bad input): absent, unreadable, or not a regular file (a FIFO or device is
  // refused unopened).
  explicit InputFile(std::filesystem::path path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;

  // Reads exactly `bytes` at `offset`. Throws core::Error "truncated" when the file ends before;
  // retries short reads.
  void ReadAt(uint64_t offset, void* buffer, size_t bytes) const;
  uint64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_FILE_H_
