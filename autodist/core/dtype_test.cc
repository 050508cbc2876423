#include "autodist/core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace autodist::core {
namespace {

TEST(DTypeTest, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(ToBFloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(ToBFloat16(std::bit_cast<float>(0x3f808000u)).bits,
            0x3f80);  // a tie goes to the even mantissa
  EXPECT_EQ(ToBFloat16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(ToBFloat16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(ToFloat(ToBFloat16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(ToFloat(ToBFloat16(std::numeric_limits<float>::max()))));
}

TEST(DTypeTest, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    const float value = ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(ToFloat(ToFloat16(value))));
    } else {
      ASSERT_EQ(ToFloat16(value).bits, half.bits) << value;
    }
  }
}

TEST(DTypeTest, HalfRoundsLikeTheHardware) {
  EXPECT_EQ(ToFloat16(65519.0f).bits, 0x7bff);  // the largest half
  EXPECT_EQ(ToFloat16(65520.0f).bits, 0x7c00);  // rounds to infinity
  EXPECT_EQ(ToFloat16(0x1p-25f).bits, 0x0000);  // a tie between 0 and the smallest subnormal
  EXPECT_EQ(ToFloat16(0x1.8p-25f).bits, 0x0001);
  EXPECT_EQ(ToFloat16(1.0f + 0x1p-11f).bits, 0x3c00);
  EXPECT_EQ(ToFloat16(-(1.0f + 0x1.8p-10f)).bits, 0xbc02);
}

}  // namespace
}  // namespace autodist::core
