// How one rank's weights lie in memory and in the shard cache: a list of blobs in their final form.
//
// Tensors that one kernel call reads together lie in one blob: q, k and v; gate and up. Matrices
// are packed (kernels/matmul.h); norms and biases are f32 vectors; learned positions an f32 table.
#ifndef AUTODIST_RUNTIME_SHARD_LAYOUT_H_
#define AUTODIST_RUNTIME_SHARD_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "autodist/kernels/matmul.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::runtime {

// A rectangle of ParallelPlan::tensors[tensor] that fills the blob's rows from `first_row` on.
struct BlobMember {
  int tensor = 0;
  spec::Range rows;
  spec::Range cols;
  int64_t first_row = 0;
};

struct BlobLayout {
  std::string name;  // "layers.3.qkv.weight"
  bool packed = false;
  kernels::PackedLayout matrix;  // packed: the form
  int64_t rows = 0;              // otherwise: f32 [rows, cols], a vector being one column of `rows`
  int64_t cols = 1;
  std::vector<BlobMember> members;

  size_t bytes() const {
    return packed ? matrix.bytes() : static_cast<size_t>(rows * cols) * sizeof(float);
  }
  // The form in words, stored in the cache's manifest: "bfloat16 [768, 256] packed".
  std::string Describe() const;
};

// The blobs of one rank of the plan, in loading order.
std::vector<BlobLayout> LayoutShard(const spec::ParallelPlan& plan, int rank);

// "layers.3.qkv" for q, k and v of layer 3 (global index), "head" and so on: the blob that holds a
// slot.
std::string BlobStem(spec::Slot slot, int layer);

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_SHARD_LAYOUT_H_
