// The shard cache seen from outside, for `autodist cache ls|verify|clean`.
//
// A cache directory may hold other things. An entry is a directory named <model>-<16 hex digits>
// with files named as shard_manifest.h says; removal touches nothing but such files, and of those
// only the ones that begin with our mark.
#ifndef AUTODIST_CHECKPOINT_CACHE_INVENTORY_H_
#define AUTODIST_CHECKPOINT_CACHE_INVENTORY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/checkpoint/shard_manifest.h"

namespace autodist::checkpoint {

struct CacheEntry {
  std::filesystem::path path;
  ShardKey key;            // of the first readable manifest; default when there is none
  std::vector<int> ranks;  // with a readable manifest, ascending
  uint64_t bytes = 0;      // of all its files
};

// Entries by name; empty when the directory does not exist. Manifests are read, data is not. Throws
// core::Error (bad input) when the directory cannot be listed.
std::vector<CacheEntry> ListCache(const std::filesystem::path& cache_dir);

struct CacheProblem {
  std::filesystem::path path;
  std::string what;
};

struct CacheVerification {
  int good_shards = 0;
  uint64_t good_bytes = 0;
  std::vector<CacheProblem> problems;
};

// Reads every byte of every shard. Shards that a live job is writing are not looked at.
CacheVerification VerifyCache(const std::filesystem::path& cache_dir);

struct CacheCleaning {
  std::vector<std::string> removed;  // names of entries
  uint64_t removed_bytes = 0;
  std::vector<CacheProblem>
      kept;  // what could not be removed, and why: in use by a builder, not ours, an I/O error
};

// Removes the entries whose name contains `filter` (all when empty). A job that has mapped a shard
// keeps its memory.
CacheCleaning CleanCache(const std::filesystem::path& cache_dir, std::string_view filter);

// Removes, quietly, the entries made on this host from another state of the checkpoint at
// `key.source`: their fingerprint can never match again. Entries with a live builder stay.
void RemoveOutdatedEntries(const std::filesystem::path& cache_dir, const ShardKey& key);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_CACHE_INVENTORY_H_
