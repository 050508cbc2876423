// A cached shard in memory: verified, then mapped read-only.
#ifndef AUTODIST_CHECKPOINT_MAPPED_SHARD_H_
#define AUTODIST_CHECKPOINT_MAPPED_SHARD_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "autodist/checkpoint/shard_manifest.h"

namespace autodist::checkpoint {

// Spans into it live as long as it does. Movable, safe to read from several threads.
//
// The file may be removed or replaced by name meanwhile: the mapping keeps its inode. What could be
// read when it was verified, and later cannot (a file truncated in place, which nothing of ours
// does; a page dropped and a broken disk; on NFS, one that another host removed), raises SIGBUS.
class MappedShard {
 public:
  struct Blob {
    std::span<const std::byte> data;  // starts at a page boundary
    std::string_view layout;          // as given to ShardWriter::Add
  };

  // Maps the open file `descriptor`, which stays the caller's, without looking at its bytes. Throws
  // std::system_error.
  MappedShard(int descriptor, const ShardManifest& manifest);
  ~MappedShard();
  MappedShard(MappedShard&& other) noexcept;
  MappedShard& operator=(MappedShard&& other) noexcept;

  std::optional<Blob> Find(std::string_view name) const;
  size_t blobs() const { return blobs_.size(); }
  std::span<const std::byte> file() const { return {data_, bytes_}; }

 private:
  struct Entry {
    uint64_t offset;
    uint64_t bytes;
    std::string layout;
  };

  const std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  std::map<std::string, Entry, std::less<>> blobs_;
};

// What lies in `entry_dir` for a rank: a shard of this key whose every byte was verified, or what
// is wrong with it (a phrase for a message). Neither: no file of the shard is there.
struct ShardLoad {
  std::optional<MappedShard> shard;
  std::string fault;
};
ShardLoad LoadShard(const std::filesystem::path& entry_dir, std::string_view key_hash, int rank);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_MAPPED_SHARD_H_
