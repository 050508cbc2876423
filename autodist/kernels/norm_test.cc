#include "autodist/kernels/norm.h"

#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

class NormTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(NormTest);

// Sums of positive terms lose at most a few roundings; the result is near 1 in size.
constexpr double kTolerance = 8 * 0x1p-23;

TEST_P(NormTest, RmsNormEqualsTheReference) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t width : {1, 5, 8, 16, 17, 31, 64, 65, 100, 896}) {
      const TestMatrix x = TestMatrix(DType::kF32, 3, width, 1, 3).Randomize(1, 5.0);
      const TestMatrix weight = TestMatrix(DType::kF32, 1, width, 3).Randomize(2);
      const TestMatrix y(dtype, 3, width, 1, 2);
      RmsNorm(stream_, x.view(), weight.view(), 1e-5f, y.view());
      ExpectNear(y, reference::RmsNorm(x.values(), weight.values(), 1e-5), 2 * kTolerance);
    }
  }
}

TEST_P(NormTest, EachHeadIsNormedByItselfAndInPlace) {
  const TestMatrix x = TestMatrix(DType::kF32, 2, 3 * 20, 0, 4).Randomize(1);
  const TestMatrix weight = TestMatrix(DType::kF32, 1, 20).Randomize(2);
  const std::vector<double> expected = reference::RmsNorm(x.values(), weight.values(), 1e-6);
  RmsNorm(stream_, x.view(), weight.view(), 1e-6f, x.view());
  ExpectNear(x, expected, 2 * kTolerance);
}

// The mean is far from zero: the variance must come from differences.
TEST_P(NormTest, LayerNormEqualsTheReference) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t width : {1, 5, 16, 17, 64, 65, 100, 768}) {
      TestMatrix x = TestMatrix(DType::kF32, 3, width, 1, 3).Randomize(1);
      for (int64_t i = 0; i < 3 * width; ++i)
        WriteElement(x.view(), i / width, i % width, x.at(i / width, i % width) + 3);
      const TestMatrix weight = TestMatrix(DType::kF32, 1, width, 3).Randomize(2);
      const TestMatrix bias = TestMatrix(DType::kF32, 1, width, 2).Randomize(3);
      const TestMatrix y(dtype, 3, width, 1, 2);
      // The mean carries an error of eps * |mean|, which 1 / standard deviation magnifies (width 1:
      // by 1 / sqrt(epsilon)).
      const double tolerance = width == 1 ? 400 * kTolerance : 8 * kTolerance;
      LayerNorm(stream_, x.view(), weight.view(), bias.view(), 1e-5f, y.view());
      ExpectNear(y, reference::LayerNorm(x.values(), weight.values(), bias.values(), 1e-5),
                 tolerance);
      LayerNorm(stream_, x.view(), weight.view(), {}, 1e-5f, y.view());
      ExpectNear(y, reference::LayerNorm(x.values(), weight.values(), {}, 1e-5), tolerance);
    }
  }
}

TEST_P(NormTest, ThreadsDoNotChangeBits) {
  const TestMatrix x = TestMatrix(DType::kF32, 40, 300).Randomize(1);
  const TestMatrix weight = TestMatrix(DType::kF32, 1, 300).Randomize(2);
  const TestMatrix one(DType::kF32, 40, 300), many(DType::kF32, 40, 300);
  RmsNorm(stream_, x.view(), weight.view(), 1e-5f, one.view());
  device::ThreadPool pool(3);
  device::Stream stream(pool, GetParam());
  RmsNorm(stream, x.view(), weight.view(), 1e-5f, many.view());
  EXPECT_EQ(one.values(), many.values());
}

}  // namespace
}  // namespace autodist::kernels
