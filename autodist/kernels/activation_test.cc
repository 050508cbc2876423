#include "autodist/kernels/activation.h"

#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

constexpr ActivationKind kKinds[] = {ActivationKind::kSilu, ActivationKind::kGelu,
                                     ActivationKind::kGeluTanh, ActivationKind::kRelu,
                                     ActivationKind::kQuickGelu};

class ActivationTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(ActivationTest);

// Values of the transformers library, printed to seven digits; 1 + erf(x) and 1 + tanh(x) lose some
// near -1: up to 4 eps * |x|.
TEST_P(ActivationTest, GoldenValues) {
  const double inputs[] = {-3, -1, -.1, .1, 1, 3};
  const struct {
    ActivationKind kind;
    double expected[6];
  } rows[] = {
      {ActivationKind::kGelu, {-.004050225, -.1586553, -.04601722, .05398278, .8413447, 2.99595}},
      {ActivationKind::kGeluTanh,
       {-.003637433, -.158808, -.04601725, .05398275, .841192, 2.996363}},
      {ActivationKind::kQuickGelu,
       {-.01807131, -.1542042, -.04575524, .05424476, .8457958, 2.981929}},
      {ActivationKind::kSilu, {-.1422776, -.2689414, -.04750208, .05249792, .7310586, 2.857723}},
      {ActivationKind::kRelu, {0, 0, 0, .1, 1, 3}},
  };
  TestMatrix x(DType::kF32, 1, 6), y(DType::kF32, 1, 6);
  for (int i = 0; i < 6; ++i) WriteElement(x.view(), 0, i, inputs[i]);
  for (const auto& row : rows) {
    Activate(stream_, row.kind, x.view(), y.view());
    for (int i = 0; i < 6; ++i) {
      EXPECT_NEAR(y.at(0, i), row.expected[i], 4 * Epsilon(DType::kF32) * std::abs(inputs[i]))
          << inputs[i];
    }
  }
}

// Relative to |x|, as the next product will see it: everything below 2^-20 of x is as good as zero.
TEST_P(ActivationTest, FollowsTheReferenceFromFarNegativeToFarPositive) {
  for (const ActivationKind kind : kKinds) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      TestMatrix x(DType::kF32, 3, 1001, 1, 3), y(dtype, 3, 1001, 1, 1);
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t i = 0; i < 1001; ++i) {
          WriteElement(x.view(), row, i,
                       (static_cast<double>(i) - 500) * (row == 2   ? 1e3
                                                         : row == 1 ? 0.2
                                                                    : 0.02));
        }
      }
      Activate(stream_, kind, x.view(), y.view());
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t i = 0; i < 1001; ++i) {
          const double expected = reference::Activate(kind, x.at(row, i));
          const double tolerance = 4 * Epsilon(DType::kF32) * std::abs(x.at(row, i)) +
                                   Epsilon(dtype) * std::abs(expected);
          ASSERT_NEAR(y.at(row, i), expected, tolerance) << "x = " << x.at(row, i);
        }
      }
      EXPECT_TRUE(y.GuardsIntact());
    }
  }
}

TEST_P(ActivationTest, GatedMultipliesByUpAndMayOverwriteItsInputs) {
  for (const int64_t width : {1, 7, 8, 15, 16, 17, 33, 100}) {
    const TestMatrix gate = TestMatrix(DType::kF32, 5, width, 1, 1).Randomize(1, 4.0);
    const TestMatrix up = TestMatrix(DType::kF32, 5, width, 2, 3).Randomize(2, 4.0);
    std::vector<double> expected;
    for (int64_t i = 0; i < 5 * width; ++i) {
      expected.push_back(reference::Activate(ActivationKind::kSilu, gate.at(i / width, i % width)) *
                         up.at(i / width, i % width));
    }
    const TestMatrix y(DType::kBF16, 5, width, 1);
    ActivateGated(stream_, ActivationKind::kSilu, gate.view(), up.view(), y.view());
    ExpectNear(y, expected, 32 * Epsilon(DType::kF32));
    ActivateGated(stream_, ActivationKind::kSilu, gate.view(), up.view(), gate.view());
    ExpectNear(gate, expected, 32 * Epsilon(DType::kF32));
  }
}

}  // namespace
}  // namespace autodist::kernels
