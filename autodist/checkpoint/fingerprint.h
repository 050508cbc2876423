// Which checkpoint this is: what the shard cache's key and the ranks' hand-shake compare.
#ifndef AUTODIST_CHECKPOINT_FINGERPRINT_H_
#define AUTODIST_CHECKPOINT_FINGERPRINT_H_

#include <filesystem>
#include <string>

#include "autodist/spec/tensor_catalog.h"

namespace autodist::checkpoint {

// Hashes of 32 hex digits.
struct Fingerprint {
  // The bytes of config.json and, per weight file, name, size, header, and the first and last 4 KiB
  // of each tensor: equal on two hosts that hold copies of one checkpoint.
  std::string portable;
  // The portable part and inode, ctime and mtime of each file: changes also when a file is
  // rewritten in place in the middle of a tensor. Two copies differ.
  std::string local;
};

// Reads 8 KiB per tensor (some 6 MB of a 70B checkpoint): call it only when the result is used.
// Throws core::Error (bad input) when a file cannot be read or has shrunk since the catalog was
// made.
Fingerprint ComputeFingerprint(const std::filesystem::path& model_dir,
                               const spec::TensorCatalog& catalog);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_FINGERPRINT_H_
