#include "autodist/runtime/shard_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodist/core/check.h"

namespace autodist::runtime {
namespace {

using spec::Part;
using spec::Slot;

std::string_view GroupOf(Slot slot) {
  switch (slot) {
    case Slot::kQ:
    case Slot::kK:
    case Slot::kV:
      return "qkv";
    case Slot::kGate:
    case Slot::kUp:
      return "gate_up";
    default:
      return spec::NameOf(slot);
  }
}

}  // namespace

std::string BlobStem(Slot slot, int layer) {
  return layer < 0 ? std::string(GroupOf(slot)) : fmt::format("layers.{}.{}", layer, GroupOf(slot));
}

std::string BlobLayout::Describe() const {
  if (packed)
    return fmt::format("{} [{}, {}]{} packed", core::NameOf(matrix.format), matrix.n, matrix.k,
                       matrix.lead > 0 ? fmt::format(" from {}", matrix.lead) : "");
  return fmt::format("float32 [{}, {}]", rows, cols);
}

std::vector<BlobLayout> LayoutShard(const spec::ParallelPlan& plan, int rank) {
  // Members of one blob follow each other in slot order (q, k, v; gate, up), whatever order the
  // plan lists them in.
  std::vector<spec::TensorShard> shards = plan.rank(rank).shards;
  const auto id_of = [&](const spec::TensorShard& shard) {
    return plan.tensors[static_cast<size_t>(shard.tensor)].id;
  };
  std::stable_sort(shards.begin(), shards.end(),
                   [&](const spec::TensorShard& a, const spec::TensorShard& b) {
                     const spec::TensorId x = id_of(a), y = id_of(b);
                     return std::tuple(x.layer, BlobStem(x.slot, x.layer), x.part, x.slot) <
                            std::tuple(y.layer, BlobStem(y.slot, y.layer), y.part, y.slot);
                   });
  std::vector<BlobLayout> blobs;
  for (const spec::TensorShard& shard : shards) {
    const spec::ModelTensor& tensor = plan.tensors[static_cast<size_t>(shard.tensor)];
    const bool bias = tensor.id.part == Part::kBias;
    const std::string name =
        fmt::format("{}.{}", BlobStem(tensor.id.slot, tensor.id.layer), bias ? "bias" : "weight");
    if (blobs.empty() || blobs.back().name != name) {
      BlobLayout& blob = blobs.emplace_back();
      blob.name = name;
      blob.packed = !tensor.vector && tensor.id.slot != Slot::kPositionEmbedding;
      blob.cols = shard.cols.size();
    }
    BlobLayout& blob = blobs.back();
    AUTODIST_CHECK_EQ(blob.cols, shard.cols.size());
    blob.members.push_back({shard.tensor, shard.rows, shard.cols, blob.rows});
    blob.rows += shard.rows.size();
    if (!blob.packed) continue;
    const int64_t lead = plan.quantisation ? shard.cols.first % core::kGroupInputs : 0;
    blob.matrix = kernels::PackedLayout(plan.weight_format(), blob.rows, blob.cols, lead);
  }
  return blobs;
}

}  // namespace autodist::runtime
