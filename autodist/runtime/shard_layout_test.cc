#include "autodist/runtime/shard_layout.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/planner/planner.h"

namespace autodist::runtime {
namespace {

using Types = std::pair<core::DType, std::optional<core::WeightFormat>>;

// What the planner promised for the weights of each rank is what its blobs take: every family and
// format, even and uneven cuts, also inside a group of quantised inputs.
TEST(ShardLayoutTest, BlobsTakeTheBytesThatThePlanSays) {
  const std::filesystem::path goldens =
      std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data";
  for (const char* name :
       {"llama_plain", "llama_bias_tied", "qwen3", "gpt2", "opt_pre_norm", "opt_post_norm"}) {
    const auto model = arch::Describe(goldens / name, checkpoint::ReadCatalog(goldens / name));
    for (const auto& [dtype, quantisation] :
         {Types{core::DType::kF32, {}}, Types{core::DType::kBF16, {}},
          Types{core::DType::kF32, core::WeightFormat::kInt8},
          Types{core::DType::kBF16, core::WeightFormat::kInt4}}) {
      for (const spec::Mesh mesh :
           {spec::Mesh{}, spec::Mesh{.tp = 2, .pp = 2}, spec::Mesh{.tp = 3, .pp = 4}}) {
        const spec::ParallelPlan plan =
            planner::MakePlan(model.config, model.tensors, {},
                              {.mesh = mesh, .compute_dtype = dtype, .quantisation = quantisation});
        for (int rank = 0; rank < mesh.world(); ++rank) {
          uint64_t bytes = 0;
          for (const BlobLayout& blob : LayoutShard(plan, rank)) bytes += blob.bytes();
          EXPECT_EQ(bytes, plan.rank(rank).bytes.weights)
              << name << " tp " << mesh.tp << " pp " << mesh.pp << " rank " << rank;
        }
      }
    }
  }
}

}  // namespace
}  // namespace autodist::runtime
