// What lies beside a cached shard and makes it complete: rank_<r>.json.
//
// A shard is rank_<r>.bin: one page with a mark and the key, then blobs, each at a page boundary
// and padded with zeros to the next. The manifest is written after the data is on disk; a shard
// without one does not exist. It carries the key, the size and a hash of every byte of the data
// file, and a hash of itself.
#ifndef AUTODIST_CHECKPOINT_SHARD_MANIFEST_H_
#define AUTODIST_CHECKPOINT_SHARD_MANIFEST_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autodist::checkpoint {

inline constexpr int kShardFormat = 1;
inline constexpr uint64_t kShardPageBytes = 4096;
inline constexpr uint64_t kMaxManifestBytes = uint64_t{256} << 20;
inline constexpr std::string_view kShardMagic = "autodist-shard";

// Everything the bytes of a shard depend on, and two fields for people and for finding outdated
// entries. The same on all ranks of a job.
struct ShardKey {
  std::string fingerprint;   // Fingerprint::local: which checkpoint
  std::string plan;          // what lies on which rank: any text that differs when placement does
  std::string dtype;         // of the packed weights
  std::string quantisation;  // "none", "int8" or "int4"
  std::string isa;           // the instruction set whose packing this is
  std::string library;       // version of this program, and of the library that packs
  int world = 1;

  std::string model;   // ModelSlug(): part of the directory's name
  std::string source;  // absolute path of the checkpoint; not hashed

  std::string Hash() const;       // 32 hex digits, over all but `model` and `source`
  std::string EntryName() const;  // "<model>-<first 16 digits of the hash>"
};

struct ShardBlob {
  std::string name;
  std::string layout;   // the caller's word for the form of the bytes
  uint64_t offset = 0;  // a multiple of kShardPageBytes
  uint64_t bytes = 0;   // without padding
  std::string hash;     // of the bytes and their padding
};

struct ShardManifest {
  ShardKey key;
  std::string key_hash;
  std::string host;  // that wrote it
  int rank = 0;
  uint64_t file_bytes = 0;
  std::vector<ShardBlob> blobs;  // in file order
};

// As a JSON document with its own hash as the last field.
std::string FormatManifest(const ShardManifest& manifest);
// Throws core::Error naming `path`: absent, not JSON, another format, a hash that differs (also of
// the key: a manifest whose fields were edited is not accepted), blobs that do not tile the file.
ShardManifest ReadManifest(const std::filesystem::path& path);

uint64_t PaddedBytes(uint64_t bytes);              // up to the next page
std::string FirstPage(std::string_view key_hash);  // of the data file

// Names of a shard's files: "rank_3.bin", "rank_3.json", "rank_3.lock". Temporary ones add
// ".tmp.<pid>".
std::string DataName(int rank);
std::string ManifestName(int rank);
std::string LockName(int rank);
// The rank in a file name of one of these forms, temporary ones included; nothing for every other
// name.
std::optional<int> RankOfFileName(std::string_view name);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_SHARD_MANIFEST_H_
