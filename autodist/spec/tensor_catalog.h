// What the headers of a checkpoint say: every tensor's name, type, shape and place, before any byte
// of weights is read.
#ifndef AUTODIST_SPEC_TENSOR_CATALOG_H_
#define AUTODIST_SPEC_TENSOR_CATALOG_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace autodist::spec {

// One tensor as stored. `dtype` is the file's word ("F32", "BF16", "F16", ...): a checkpoint may
// hold tensors that we ignore, in types we do not compute with.
struct StoredTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;  // [] is a scalar
  int file = 0;                // index into TensorCatalog::files
  uint64_t offset = 0;         // first byte, from the start of the file
  uint64_t bytes = 0;
};

struct WeightFile {
  std::filesystem::path path;
  uint64_t size_bytes = 0;
  uint64_t header_hash = 0;  // xxh3 of the header bytes
};

struct TensorCatalog {
  std::vector<WeightFile> files;
  std::map<std::string, StoredTensor> tensors;  // by name

  uint64_t total_bytes() const {
    uint64_t sum = 0;
    for (const auto& [name, tensor] : tensors) sum += tensor.bytes;
    return sum;
  }
};

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_TENSOR_CATALOG_H_
