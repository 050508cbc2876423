// Safetensors headers: what a model directory holds, validated before any byte of weights is read.
//
// A file is a u64 little-endian header length N (at most 100,000,000), N bytes of JSON, and the
// tensors' bytes, which tile the rest of the file without overlap, hole or trailing byte.
// Validation is stricter than the format's own library in one point: a key that appears twice is
// refused.
#ifndef AUTODIST_CHECKPOINT_SAFETENSORS_H_
#define AUTODIST_CHECKPOINT_SAFETENSORS_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/spec/tensor_catalog.h"

namespace autodist::checkpoint {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensorDims = 64;

struct SafetensorsHeader {
  spec::WeightFile file;
  std::vector<spec::StoredTensor> tensors;  // by offset; StoredTensor::file is 0
};

// Reads and validates one file's header; symbolic links are followed. Throws core::Error (bad
// input) naming the file, the tensor and what is wrong with it.
SafetensorsHeader ReadSafetensorsHeader(const std::filesystem::path& path);

// The catalog of a model directory: model.safetensors if there is one, else
// model.safetensors.index.json and the shards it names. Every tensor of every file is listed,
// whether the index names it or not. Files are in the order of their names, so all hosts number
// them alike.
//
// Throws core::Error (bad input): nothing that is read lies in the directory (the message says what
// lies there instead); an index that names an absolute path or one with ".."; and, all together in
// one message, missing shards, tensors absent from the shard the index names, tensors in two
// shards.
spec::TensorCatalog ReadCatalog(const std::filesystem::path& model_dir);

// `name` for a message: in quotes, with everything outside printable ASCII escaped, cut after 120
// bytes. Names in checkpoints are arbitrary bytes that nobody vouches for.
std::string QuotedName(std::string_view name);

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_SAFETENSORS_H_
