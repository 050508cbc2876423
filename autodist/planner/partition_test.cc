#include "autodist/planner/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "autodist/core/random.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using spec::Range;
using spec::TpShare;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

spec::ModelConfig Model(int64_t heads, int64_t kv_heads, int64_t ffn = 4096,
                        int64_t vocab = 32000) {
  return testing::Llama(1, 64, heads, kv_heads, 8, ffn, vocab).config;
}

std::vector<int64_t> Sizes(const Partition& partition, Range TpShare::*member) {
  std::vector<int64_t> sizes;
  for (const TpShare& share : partition.shares) sizes.push_back((share.*member).size());
  return sizes;
}

TEST(PartitionTest, EvenHeads) {
  const Partition partition = PartitionModel(Model(8, 4), 2);
  EXPECT_EQ(partition.shares[1].q_heads, (Range{4, 8}));
  EXPECT_EQ(partition.shares[1].kv_heads, (Range{2, 4}));
  EXPECT_THAT(partition.shares[1].kv_head_of_q, ElementsAre(0, 0, 1, 1));
}

// More ranks than kv heads: consecutive ranks hold the same one.
TEST(PartitionTest, KvHeadsAreReplicated) {
  const Partition partition = PartitionModel(Model(8, 2), 4);
  EXPECT_THAT(Sizes(partition, &TpShare::q_heads), ElementsAre(2, 2, 2, 2));
  EXPECT_EQ(partition.shares[0].kv_heads, (Range{0, 1}));
  EXPECT_EQ(partition.shares[1].kv_heads, (Range{0, 1}));
  EXPECT_EQ(partition.shares[2].kv_heads, (Range{1, 2}));
  EXPECT_THAT(partition.shares[3].kv_head_of_q, ElementsAre(0, 0));
}

// At least as many groups as ranks: whole groups, larger first.
TEST(PartitionTest, UnevenGroups) {
  EXPECT_THAT(Sizes(PartitionModel(Model(12, 6), 4), &TpShare::q_heads), ElementsAre(4, 4, 2, 2));
  EXPECT_THAT(Sizes(PartitionModel(Model(12, 6), 4), &TpShare::kv_heads), ElementsAre(2, 2, 1, 1));
}

// Fewer groups than ranks: query heads, and a rank whose heads straddle two groups holds both kv
// heads.
TEST(PartitionTest, UnevenHeads) {
  const Partition partition = PartitionModel(Model(14, 2), 4);  // Qwen2.5-0.5B
  EXPECT_THAT(Sizes(partition, &TpShare::q_heads), ElementsAre(4, 4, 3, 3));
  EXPECT_EQ(partition.shares[1].q_heads, (Range{4, 8}));
  EXPECT_EQ(partition.shares[1].kv_heads, (Range{0, 2}));
  EXPECT_THAT(partition.shares[1].kv_head_of_q, ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(partition.shares[2].kv_head_of_q, ElementsAre(0, 0, 0));
}

TEST(PartitionTest, FfnGranularity) {
  const auto cut = [](int64_t ffn, int tp) {
    const Partition partition = PartitionModel(Model(16, 16, ffn), tp);
    std::vector<int64_t> sizes = Sizes(partition, &TpShare::ffn);
    sizes.push_back(partition.ffn_granularity);
    return sizes;
  };
  EXPECT_THAT(cut(11008, 3),
              ElementsAre(3648, 3648, 3712, 64));     // the remainder goes to the last ranks
  EXPECT_THAT(cut(192, 2), ElementsAre(96, 96, 16));  // 64 | 128 would be lopsided
  EXPECT_THAT(cut(172, 3), ElementsAre(56, 58, 58, 2));
  EXPECT_THAT(cut(53, 3), ElementsAre(17, 18, 18, 1));
  EXPECT_THAT(cut(64, 1), ElementsAre(64, 64));
}

TEST(PartitionTest, VocabularyIsPadded) {
  const auto cut = [](int64_t vocab, int tp) {
    const Partition partition = PartitionModel(Model(16, 16, 4096, vocab), tp);
    std::vector<int64_t> sizes = Sizes(partition, &TpShare::vocab);
    sizes.push_back(partition.padded_vocab_size);
    return sizes;
  };
  EXPECT_THAT(cut(151936, 2), ElementsAre(75968, 75968, 151936));
  EXPECT_THAT(cut(50257, 3), ElementsAre(16768, 16768, 16721, 50304));  // 262 * 64 rows each
  EXPECT_THAT(cut(131, 3),
              ElementsAre(48, 48, 35, 144));  // pad 16: a pad of 64 would leave 3 for the last
  EXPECT_THAT(cut(3, 4), ElementsAre(1, 1, 1, 0, 4));  // fewer words than ranks
}

// For any model and any legal tp: ranges tile in order, every query head is computed once and reads
// the right kv head.
TEST(PartitionTest, AnyCutTilesExactly) {
  uint64_t draw = 0;
  const auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(core::RandomBits(20240607, 0, draw++) %
                                      static_cast<uint64_t>(high - low + 1));
  };
  for (int round = 0; round < 2000; ++round) {
    const int64_t group = pick(1, 9);
    const int64_t kv_heads = pick(1, 12);
    const spec::ModelConfig config =
        Model(group * kv_heads, kv_heads, pick(128, 20000), pick(1, 5000));
    const int tp = static_cast<int>(pick(1, config.num_heads));
    SCOPED_TRACE(fmt::format("heads {} kv {} ffn {} vocab {} tp {}", config.num_heads, kv_heads,
                             config.ffn_size, config.vocab_size, tp));
    const Partition partition = PartitionModel(config, tp);
    int64_t q = 0, ffn = 0, vocab = 0;
    for (const TpShare& share : partition.shares) {
      ASSERT_EQ(share.q_heads.first, q);
      ASSERT_EQ(share.ffn.first, ffn);
      ASSERT_EQ(share.vocab.first, vocab);
      ASSERT_GE(share.q_heads.size(), 1);
      ASSERT_GE(share.ffn.size(), 1);
      ASSERT_LE(share.vocab.size(), partition.vocab_rows);
      ASSERT_EQ(share.kv_head_of_q.size(), static_cast<size_t>(share.q_heads.size()));
      for (int64_t i = 0; i < share.q_heads.size(); ++i) {
        const int64_t local = share.kv_head_of_q[static_cast<size_t>(i)];
        ASSERT_LT(local, share.kv_heads.size());
        ASSERT_EQ(share.kv_heads.first + local, (share.q_heads.first + i) / group);
      }
      q = share.q_heads.last;
      ffn = share.ffn.last;
      vocab = share.vocab.last;
    }
    EXPECT_EQ(q, config.num_heads);
    EXPECT_EQ(ffn, config.ffn_size);
    EXPECT_EQ(vocab, config.vocab_size);
    const auto heads = Sizes(partition, &TpShare::q_heads);
    const auto [least, most] = std::minmax_element(heads.begin(), heads.end());
    EXPECT_LE(*most - *least, kv_heads >= tp ? group : 1);
    EXPECT_EQ(HeadsDivideEvenly(config, tp) && *least != *most, false);
  }
}

TEST(PartitionTest, RefusesMoreRanksThanHeads) {
  EXPECT_THAT(testing::RefusalOf([] { PartitionModel(Model(14, 2), 15); }),
              AllOf(HasSubstr("tensor_parallel_size 15"), HasSubstr("14 attention heads"),
                    HasSubstr("1, 2, 14 (evenly), any other up to 14 (unevenly)")));
  EXPECT_THAT(testing::RefusalOf([] { PartitionModel(Model(14, 2), 0); }),
              HasSubstr("tensor_parallel_size 0"));
}

}  // namespace
}  // namespace autodist::planner
