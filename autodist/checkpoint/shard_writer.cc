#include "autodist/checkpoint/shard_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "autodist/checkpoint/hash.h"
#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint {
namespace {

// What is written at once, at multiples of it. A page cache with large folios then holds the file
// in huge pages, and a mapping reads it faster than in small ones (measured: 1.1 times).
constexpr size_t kWriteBytes = size_t{2} << 20;

// Makes renames in it durable. Throws std::system_error.
void SyncDirectory(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some network file systems cannot sync a directory; they order renames themselves.
  const int error = descriptor < 0 || (::fsync(descriptor) != 0 && errno != EINVAL) ? errno : 0;
  if (descriptor >= 0) ::close(descriptor);
  if (error != 0) throw std::system_error(error, std::generic_category(), path.string());
}

}  // namespace

ShardWriter::ShardWriter(std::filesystem::path entry_dir, ShardManifest manifest,
                         core::FileLock lock, std::function<void(const std::string&)> on_failure)
    : entry_dir_(std::move(entry_dir)),
      temporary_(entry_dir_ / fmt::format("{}.tmp.{}", DataName(manifest.rank), ::getpid())),
      manifest_(std::move(manifest)),
      lock_(std::move(lock)),
      on_failure_(std::move(on_failure)) {
  // Read access as well: Commit maps this descriptor.
  descriptor_ =
      ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor_ < 0) {
    Fail("created", errno);
    return;
  }
  const std::string first_page = FirstPage(manifest_.key_hash);
  Append(reinterpret_cast<const std::byte*>(first_page.data()), first_page.size());
  manifest_.file_bytes = first_page.size();
}

ShardWriter::~ShardWriter() { Abandon(); }

ShardWriter::ShardWriter(ShardWriter&& other) noexcept
    : entry_dir_(std::move(other.entry_dir_)),
      temporary_(std::move(other.temporary_)),
      manifest_(std::move(other.manifest_)),
      lock_(std::move(other.lock_)),
      on_failure_(std::move(other.on_failure_)),
      pending_(std::move(other.pending_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {
  other.lock_.reset();
}

void ShardWriter::Abandon() {
  if (descriptor_ >= 0) {
    ::close(std::exchange(descriptor_, -1));
    ::unlink(temporary_.c_str());
  }
  lock_.reset();
}

bool ShardWriter::Fail(std::string_view action, int error) {
  Abandon();
  on_failure_(fmt::format("{} cannot be {}: {}", (entry_dir_ / DataName(manifest_.rank)).string(),
                          action, std::strerror(error)));
  return false;
}

bool ShardWriter::Append(const std::byte* data, size_t bytes) {
  while (bytes > 0) {
    size_t count = bytes - bytes % kWriteBytes;
    if (pending_.empty() && count > 0) {
      if (!Write(data, count)) return false;
    } else {
      count = std::min(bytes, kWriteBytes - pending_.size());
      pending_.insert(pending_.end(), data, data + count);
      if (pending_.size() == kWriteBytes) {
        if (!Write(pending_.data(), pending_.size())) return false;
        pending_.clear();
      }
    }
    data += count;
    bytes -= count;
  }
  return true;
}

bool ShardWriter::Write(const std::byte* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t wrote = ::write(descriptor_, data, bytes);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return Fail("written", wrote == 0 ? ENOSPC : errno);
    data += wrote;
    bytes -= static_cast<size_t>(wrote);
  }
  return true;
}

bool ShardWriter::Add(std::string_view name, std::string_view layout,
                      std::span<const std::byte> data) {
  static constexpr std::byte kZeros[kShardPageBytes] = {};
  if (descriptor_ < 0) return false;
  const uint64_t padding = PaddedBytes(data.size()) - data.size();
  if (!Append(data.data(), data.size()) || !Append(kZeros, padding)) return false;
  AUTODIST_CHECK(std::none_of(manifest_.blobs.begin(), manifest_.blobs.end(),
                              [&](const ShardBlob& blob) { return blob.name == name; }));
  Hash128 hash;
  hash.Add(data.data(), data.size());
  hash.Add(kZeros, padding);
  manifest_.blobs.push_back(
      {std::string(name), std::string(layout), manifest_.file_bytes, data.size(), hash.Hex()});
  manifest_.file_bytes += data.size() + padding;
  return true;
}

std::optional<MappedShard> ShardWriter::Commit() {
  if (descriptor_ < 0 || !Write(pending_.data(), pending_.size())) return std::nullopt;
  const auto data_path = entry_dir_ / DataName(manifest_.rank);
  std::optional<MappedShard> shard;
  try {
    shard.emplace(descriptor_, manifest_);
    if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), data_path.c_str()) != 0)
      throw std::system_error(errno, std::generic_category());
    temporary_ = data_path;  // without its manifest it is still ours to remove
    SyncDirectory(entry_dir_);
    core::WriteFileAtomically(entry_dir_ / ManifestName(manifest_.rank), FormatManifest(manifest_));
    SyncDirectory(entry_dir_);
  } catch (const std::system_error& error) {
    Fail("completed", error.code().value());
    return std::nullopt;
  } catch (const core::Error& error) {  // the manifest
    Abandon();
    on_failure_(error.what());
    return std::nullopt;
  }
  ::close(std::exchange(descriptor_, -1));
  lock_.reset();
  return shard;
}

}  // namespace autodist::checkpoint
