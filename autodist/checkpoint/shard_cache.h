// The shard cache: a rank's weights in their final packed form, ready to be mapped.
//
//   <cache>/<model>-<key>/rank_<r>.bin, rank_<r>.json
//
// Every rank commits its own shard: the data under a temporary name, fsync, rename, then the
// manifest (shard_manifest.h) in the same way. Whatever is found at a start is believed only after
// its manifest, its key, its size and the checksum of every byte were verified; anything else is
// removed and built again. Nothing that is read is ever executed.
//
// Jobs that want the same shard at once: one builds, the others wait (core/file_lock.h) and then
// map what it built.
#ifndef AUTODIST_CHECKPOINT_SHARD_CACHE_H_
#define AUTODIST_CHECKPOINT_SHARD_CACHE_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "autodist/checkpoint/mapped_shard.h"
#include "autodist/checkpoint/shard_manifest.h"
#include "autodist/checkpoint/shard_writer.h"
#include "autodist/core/file_lock.h"

namespace autodist::checkpoint {

struct ShardCacheOptions {
  // --cache-dir. Absent: DefaultCacheDirectory().
  std::optional<std::filesystem::path> directory;
  double wait_limit_s = 600.0;  // for another job that builds the same shard
};

// Thread-safe: one object serves the rank threads of a process. "Going on without" is logged once
// per object; all lines carry the rank of the calling thread (core/log.h).
class ShardCache {
 public:
  // Creates the directory. Throws core::Error (bad input) when a given one cannot be created or
  // written; an unusable default directory disables the cache with one warning.
  explicit ShardCache(const ShardCacheOptions& options);

  // The shard of a rank, or the right to build it, or neither: then load from the checkpoint
  // without caching (the reason was logged).
  struct Access {
    std::optional<MappedShard> shard;
    std::optional<ShardWriter> writer;
  };
  // Waits at most wait_limit_s for another job that builds it, and takes over when that job dies. A
  // broken, foreign or incomplete shard is removed with one line that says what was wrong; with
  // `rebuild` whatever lies there is replaced. The one that builds also removes shards of earlier
  // states of the same checkpoint. `blob_bytes`: the sum of the blobs to come; without room for
  // them on the disk there is no writer. Throws core::Error (bad input) when a given directory
  // turns out not to be writable.
  Access Acquire(const ShardKey& key, int rank, uint64_t blob_bytes, bool rebuild = false);

  bool enabled() const { return !directory_.empty(); }
  const std::filesystem::path& directory() const { return directory_; }  // empty when disabled

 private:
  std::optional<core::FileLock> WaitForLock(const std::filesystem::path& entry_dir, int rank) const;
  std::optional<ShardWriter> StartWriter(const std::filesystem::path& entry_dir,
                                         const ShardKey& key, int rank, uint64_t blob_bytes,
                                         core::FileLock lock) const;
  void GoOnWithout(const std::string& reason) const;

  std::filesystem::path directory_;
  bool given_ = false;
  double wait_limit_s_;
  std::shared_ptr<std::atomic<bool>> warned_;  // shared with the writers, which may outlive this
};

// $XDG_CACHE_HOME/autodist, else $HOME/.cache/autodist; nullopt when neither variable holds an
// absolute path.
std::optional<std::filesystem::path> DefaultCacheDirectory();

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_SHARD_CACHE_H_
