#include "autodist/kernels/elementwise.h"

#include <limits>

#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

class ElementwiseTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(ElementwiseTest);

TEST_P(ElementwiseTest, AddAndBiasRoundOnce) {
  for (int64_t width = 1; width <= 35; ++width) {
    const TestMatrix x = TestMatrix(DType::kF32, 3, width, 1, 2).Randomize(1);
    const TestMatrix bias = TestMatrix(DType::kF32, 1, width, 3).Randomize(2);
    const TestMatrix y = TestMatrix(DType::kF32, 3, width, 2, 1).Randomize(3);
    std::vector<double> expected = y.values();
    for (int64_t i = 0; i < 3 * width; ++i) {
      expected[i] = static_cast<float>(expected[i] + x.at(i / width, i % width));
      expected[i] = static_cast<float>(expected[i] + bias.at(0, i % width));
    }
    Add(stream_, x.view(), y.view());
    AddBias(stream_, bias.view(), y.view());
    EXPECT_EQ(y.values(), expected);
    EXPECT_TRUE(y.GuardsIntact());
  }
}

// Ties, overflow, subnormals, infinities and NaN as core/dtype.h converts them, at every place of a
// vector.
TEST_P(ElementwiseTest, ConversionsAreThoseOfTheScalars) {
  const float inf = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f,     -0.0f,  1.0f,          1.00390625f, 1.01171875f, 3.4e38f,
                           -3.4e38f, 1e-40f, 65519.0f,      65520.0f,    6e-8f,       -2.9e-8f,
                           inf,      -inf,   std::nanf(""), 0.333333f,   -1234.567f};
  constexpr int64_t kCount = std::size(special);
  for (int64_t shift = 0; shift < kCount; ++shift) {
    const TestMatrix x(DType::kF32, 2, kCount, 1, 3);
    for (int64_t i = 0; i < 2 * kCount; ++i)
      x.view().row<float>(i / kCount)[i % kCount] = special[(i + shift) % kCount];
    for (const DType dtype : {DType::kBF16, DType::kF16}) {
      const TestMatrix narrow(dtype, 2, kCount, 1, 1), back(DType::kF32, 2, kCount);
      Convert(stream_, x.view(), narrow.view());
      Convert(stream_, narrow.view(), back.view());
      for (int64_t i = 0; i < 2 * kCount; ++i) {
        const float value = special[(i + shift) % kCount];
        const float expected = dtype == DType::kBF16 ? core::ToFloat(core::ToBFloat16(value))
                                                     : core::ToFloat(core::ToFloat16(value));
        const auto actual = static_cast<float>(narrow.at(i / kCount, i % kCount));
        if (std::isnan(value)) {
          EXPECT_TRUE(std::isnan(actual));
        } else {
          EXPECT_EQ(actual, expected) << value;
          EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << value;
          EXPECT_EQ(back.at(i / kCount, i % kCount), expected);
        }
      }
      EXPECT_TRUE(narrow.GuardsIntact());
    }
  }
}

TEST_P(ElementwiseTest, EqualDtypesAreCopied) {
  const TestMatrix x = TestMatrix(DType::kBF16, 3, 21, 1, 2).Randomize(1);
  const TestMatrix y(DType::kBF16, 3, 21, 3, 1);
  Convert(stream_, x.view(), y.view());
  EXPECT_EQ(x.values(), y.values());
  EXPECT_TRUE(y.GuardsIntact());
}

}  // namespace
}  // namespace autodist::kernels
