#include "autodist/planner/graph_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace autodist::planner {
namespace {

using ::testing::ElementsAre;

TEST(GraphBucketsTest, SizesAreDenseWhereStepsAreShort) {
  EXPECT_THAT(DecodeBuckets(1), ElementsAre(1));
  EXPECT_THAT(DecodeBuckets(3), ElementsAre(1, 2, 3));
  EXPECT_THAT(DecodeBuckets(8), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(DecodeBuckets(33), ElementsAre(1, 2, 4, 8, 16, 24, 32, 33));
  EXPECT_THAT(DecodeBuckets(256),
              ElementsAre(1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 120, 144, 176, 216, 256));
  EXPECT_EQ(DecodeBuckets(4096).size(), 31u);
}

TEST(GraphBucketsTest, LargeStepsHaveLittlePadding) {
  for (int64_t max_rows = 1; max_rows <= 1000; ++max_rows) {
    const std::vector<int64_t> buckets = DecodeBuckets(max_rows);
    ASSERT_EQ(buckets.back(), max_rows);
    for (size_t i = 1; i < buckets.size(); ++i) {
      ASSERT_LT(buckets[i - 1], buckets[i]);
      const int64_t most_padding = buckets[i] - buckets[i - 1] - 1;
      if (buckets[i - 1] >= 32) {
        ASSERT_LT(5 * most_padding, buckets[i]);
      }
    }
  }
}

}  // namespace
}  // namespace autodist::planner
