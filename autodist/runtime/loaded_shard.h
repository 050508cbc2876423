// The weights of one rank, in memory: read from the checkpoint and packed, or mapped from the shard
// cache.
#ifndef AUTODIST_RUNTIME_LOADED_SHARD_H_
#define AUTODIST_RUNTIME_LOADED_SHARD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "autodist/checkpoint/shard_cache.h"
#include "autodist/checkpoint/weight_reader.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"
#include "autodist/runtime/shard_layout.h"

namespace autodist::runtime {

// Owner of a rank's blobs. Views into it live as long as it does. Movable.
class LoadedShard {
 public:
  LoadedShard() = default;
  // Packs every blob into memory of its own, on all threads of the stream, and calls `on_part`
  // now and then, from any of them at once.
  static LoadedShard Pack(device::Stream& stream, const spec::ParallelPlan& plan, int rank,
                          const checkpoint::WeightReader& reader,
                          const std::function<void()>& on_part);
  // Writes the blobs to the cache for later runs; a cache that fails has warned, and changes
  // nothing here.
  void Store(checkpoint::ShardWriter& writer) const;
  // Takes the blobs from a mapped cache entry, or nothing when the entry does not hold exactly the
  // plan's blobs.
  static std::optional<LoadedShard> FromCache(const spec::ParallelPlan& plan, int rank,
                                              checkpoint::MappedShard mapping);

  bool Has(const std::string& name) const { return blobs_.count(name) != 0; }
  // REQUIRES Has(name) and that the blob is packed.
  kernels::PackedWeight Matrix(const std::string& name) const;
  // A vector as [1, length], a table as [rows, cols], f32; an empty view when there is none.
  core::ConstTensorView Vector(const std::string& name) const;
  core::ConstTensorView Table(const std::string& name) const;

  uint64_t bytes() const;
  bool from_cache() const { return mapping_.has_value(); }

 private:
  struct Blob {
    BlobLayout layout;
    const void* data = nullptr;
  };
  std::map<std::string, Blob> blobs_;
  device::Buffer memory_;  // of blobs that are not mapped
  std::optional<checkpoint::MappedShard> mapping_;
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_LOADED_SHARD_H_
