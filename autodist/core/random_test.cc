#include "autodist/core/random.h"

#include <gtest/gtest.h>

namespace autodist::core {
namespace {

// Known answers from the Random123 distribution (kat_vectors, philox4x32-10).
TEST(RandomTest, KnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(RandomTest, UniformStaysInRangeAndDependsOnEachArgument) {
  double sum = 0;
  for (uint64_t index = 0; index < 10000; ++index) {
    const double value = UniformDouble(1234, 5, index);
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);  // 7 standard deviations
  EXPECT_NE(UniformDouble(1, 0, 0), UniformDouble(2, 0, 0));
  EXPECT_NE(UniformDouble(1, 0, 0), UniformDouble(1, 1, 0));
  EXPECT_NE(UniformDouble(1, 0, 0), UniformDouble(1, 0, 1));
}

}  // namespace
}  // namespace autodist::core
