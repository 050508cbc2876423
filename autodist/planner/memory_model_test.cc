#include "autodist/planner/memory_model.h"

#include <gtest/gtest.h>

#include "autodist/planner/partition.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using core::DType;
using core::WeightFormat;

RankPart WholeModel(const spec::ModelConfig& config) {
  return {.share = PartitionModel(config, 1).shares[0], .layers = {0, config.num_layers}};
}

TEST(MemoryModelTest, PackedMatricesAreRoundedToBlocks) {
  EXPECT_EQ(PackedMatrixBytes(64, {0, 32}, WeightFormat::kBF16), 64u * 32 * 2);
  EXPECT_EQ(PackedMatrixBytes(65, {0, 33}, WeightFormat::kBF16), 128u * 64 * 2);
  EXPECT_EQ(PackedMatrixBytes(65, {0, 33}, WeightFormat::kF32), 128u * 33 * 4);
  EXPECT_EQ(PackedMatrixBytes(1, {0, 1}, WeightFormat::kF32), 64u * 4);
  EXPECT_EQ(PackedMatrixBytes(0, {0, 33}, WeightFormat::kF32),
            0u);  // a rank without rows of the vocabulary
}

// One 16-bit scale for 32 inputs; a cut inside a group keeps the whole group.
TEST(MemoryModelTest, QuantisedMatricesAreRoundedToGroups) {
  EXPECT_EQ(PackedMatrixBytes(64, {0, 32}, WeightFormat::kInt8), 64u * (32 + 2));
  EXPECT_EQ(PackedMatrixBytes(64, {0, 32}, WeightFormat::kInt4), 64u * (16 + 2));
  EXPECT_EQ(PackedMatrixBytes(65, {0, 33}, WeightFormat::kInt4), 128u * 2 * 18);
  EXPECT_EQ(PackedMatrixBytes(64, {48, 80}, WeightFormat::kInt8), 64u * 2 * 34);
  EXPECT_EQ(PackedMatrixBytes(0, {0, 33}, WeightFormat::kInt8), 0u);
}

// hidden 70, 4 heads (2 kv) of 8, ffn 100: q, k, v are packed together, and so are gate and up.
TEST(MemoryModelTest, OneLayer) {
  const spec::ModelConfig config = testing::Llama(2, 70, 4, 2, 8, 100, 130).config;
  const spec::TpShare share = PartitionModel(config, 1).shares[0];
  const uint64_t norms = 2 * 70 * 4;
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kF32),
            4u * (64 * 70 /* qkv */ + 128 * 32 /* output */ + 256 * 70 /* gate_up */ +
                  128 * 100 /* down */) +
                norms);
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kBF16),
            2u * (64 * 96 + 128 * 32 + 256 * 96 + 128 * 128) + norms);
}

TEST(MemoryModelTest, BiasesAndNormsAreF32) {
  spec::ModelConfig config = testing::Llama(1, 70, 4, 2, 8, 100, 130).config;
  const spec::TpShare share = PartitionModel(config, 2).shares[1];  // 2 query heads, 1 kv head
  const uint64_t plain = LayerWeightBytes(config, share, WeightFormat::kBF16);
  config.qkv_bias = true;
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kBF16) - plain, 4u * (16 + 8 + 8));
  config.qkv_bias = false;
  config.attention_output_bias = true;  // whole on every rank
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kBF16) - plain, 4u * 70);
  config.attention_output_bias = false;
  config.mlp_bias = true;
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kBF16) - plain, 4u * (2 * 50 + 70));
  config.mlp_bias = false;
  config.qk_norm = true;
  EXPECT_EQ(LayerWeightBytes(config, share, WeightFormat::kBF16) - plain, 4u * 2 * 8);
}

TEST(MemoryModelTest, ATiedTableIsHeldOnceByARankThatIsBothEnds) {
  spec::ModelConfig config = testing::Llama(2, 64, 4, 4, 16, 128, 1000).config;
  RankPart part = WholeModel(config);
  const uint64_t table = VocabTableBytes(config, part.share, WeightFormat::kBF16);
  EXPECT_EQ(table, 1024u * 64 * 2);
  const uint64_t untied = WeightBytes(config, part, WeightFormat::kBF16);
  config.tied_embedding = true;
  EXPECT_EQ(WeightBytes(config, part, WeightFormat::kBF16), untied - table);
  // On two stages each end holds it.
  part.layers = {0, 1};
  part.last_stage = false;
  const uint64_t first = WeightBytes(config, part, WeightFormat::kBF16);
  part.layers = {1, 2};
  part.first_stage = false;
  part.last_stage = true;
  EXPECT_EQ(first + WeightBytes(config, part, WeightFormat::kBF16), untied);
}

TEST(MemoryModelTest, PositionsAndProjectionsLieOnTheEnds) {
  spec::ModelConfig config = testing::Llama(1, 64, 4, 4, 16, 128, 1000).config;
  RankPart part = WholeModel(config);
  part.last_stage = false;
  const uint64_t plain = WeightBytes(config, part, WeightFormat::kBF16);
  config.learned_position_rows = 66;
  EXPECT_EQ(WeightBytes(config, part, WeightFormat::kBF16) - plain, 66u * 64 * 4);
  config.embedding_size = 32;  // a narrower table, and project_in
  EXPECT_EQ(WeightBytes(config, part, WeightFormat::kBF16) + 1024u * 32 * 2,
            plain + 66u * 64 * 4 + 64u * 32 * 2);
}

// Qwen2.5-7B: 28 layers, 4 kv heads of 128, bf16: 57,344 bytes per token.
TEST(MemoryModelTest, KvCache) {
  const spec::ModelConfig config = testing::Llama(28, 3584, 28, 4, 128, 18944, 152064).config;
  RunShape shape{.compute_dtype = DType::kBF16, .batch_size = 1, .max_model_len = 32768};
  const RankPart part = WholeModel(config);
  EXPECT_EQ(KvCacheBytes(config, part, shape), 57344u * 32768);
  shape.max_model_len = 65;  // whole pages of 64
  EXPECT_EQ(KvCacheBytes(config, part, shape), 57344u * 128);
  shape.batch_size = 3;
  EXPECT_EQ(KvCacheBytes(config, part, shape), 3 * 57344u * 128);
}

// Per row in f32: residual and output (70 each), q k v (64), gate and up (200); in bf16: the inputs
// of the four products (70, 32 and 100 wide). The angles of every position, and the logits of two
// sequences.
TEST(MemoryModelTest, Activations) {
  const spec::ModelConfig config = testing::Llama(2, 70, 4, 2, 8, 100, 130).config;
  const RunShape shape{.compute_dtype = DType::kBF16,
                       .batch_size = 2,
                       .micro_batch_size = 2,
                       .max_model_len = 4000,
                       .prefill_chunk = 512};
  EXPECT_EQ(EstimateRank(config, WholeModel(config), shape).activations,
            512u * ((70 + 70 + 64 + 200) * 4 + (70 + 32 + 100) * 2) + 4000u * 8 * 4 + 2u * 130 * 4);
}

TEST(MemoryModelTest, AbsurdRequestsDoNotWrapAround) {
  const spec::ModelConfig config = testing::Llama(1024, 64, 4096, 4096, 8192, 128, 1000).config;
  const RunShape shape{.batch_size = 1 << 20, .max_model_len = int64_t{1} << 31};
  EXPECT_GE(EstimateRank(config, WholeModel(config), shape).total(), uint64_t{1} << 60);
}

TEST(MemoryModelTest, FormatBytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{12} << 30), "12.0 GiB");
  EXPECT_EQ(FormatBytes(uint64_t{200} << 20), "200 MiB");
}

}  // namespace
}  // namespace autodist::planner
