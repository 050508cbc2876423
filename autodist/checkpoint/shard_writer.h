// Writes one rank's shard into the cache, blob by blob.
#ifndef AUTODIST_CHECKPOINT_SHARD_WRITER_H_
#define AUTODIST_CHECKPOINT_SHARD_WRITER_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/checkpoint/mapped_shard.h"
#include "autodist/checkpoint/shard_manifest.h"
#include "autodist/core/file_lock.h"

namespace autodist::checkpoint {

// Holds the shard's lock until Commit or its end. Nothing is visible before Commit; destroyed
// without it, it leaves nothing behind. One thread at a time. Made by ShardCache::Acquire.
//
// A full or failing disk is no error of the run: `on_failure` is told once, the temporary file is
// removed, and from then on calls do nothing. So the caller keeps its packed blobs until Commit
// gave it the mapping.
class ShardWriter {
 public:
  // `manifest` carries key and rank; the writer fills in the rest.
  ShardWriter(std::filesystem::path entry_dir, ShardManifest manifest, core::FileLock lock,
              std::function<void(const std::string&)> on_failure);
  ~ShardWriter();
  ShardWriter(ShardWriter&& other) noexcept;
  ShardWriter& operator=(ShardWriter&& other) = delete;

  // Appends a blob; it may be empty. `layout` is kept for MappedShard::Blob. false after a failure;
  // what is small is written later, so that a later call may be the first to say so. REQUIRES names
  // differ.
  bool Add(std::string_view name, std::string_view layout, std::span<const std::byte> data);

  // Makes the shard durable and visible, releases the lock and maps it. nullopt after a failure.
  std::optional<MappedShard> Commit();

 private:
  bool Append(const std::byte* data, size_t bytes);
  bool Write(const std::byte* data, size_t bytes);
  bool Fail(std::string_view action, int error);
  void Abandon();

  std::filesystem::path entry_dir_;
  std::filesystem::path temporary_;
  ShardManifest manifest_;
  std::optional<core::FileLock> lock_;
  std::function<void(const std::string&)> on_failure_;
  std::vector<std::byte> pending_;  // appended, not yet written
  int descriptor_ = -1;             // of temporary_; -1 after a failure or Commit
};

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_SHARD_WRITER_H_
