// What the tests of kernels/ share: streams of every instruction set, random matrices with room
// around them, and comparison with doubles.
#ifndef AUTODIST_KERNELS_TESTING_H_
#define AUTODIST_KERNELS_TESTING_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "autodist/core/random.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// Runs a test once per instruction set that this CPU has, or that is emulated.
class IsaTest : public testing::TestWithParam<device::Isa> {
 protected:
  device::ThreadPool pool_{1};
  device::Stream stream_{pool_, GetParam()};
};
inline std::string NameOfParam(const testing::TestParamInfo<device::Isa>& info) {
  return std::string(device::NameOf(info.param));
}
#ifdef AUTODIST_EMULATED_ISAS
inline std::vector<device::Isa> TestedIsas() {
  return {device::Isa::kAvx512, device::Isa::kAvx512Bf16, device::Isa::kAmx};
}
#else
inline std::vector<device::Isa> TestedIsas() { return device::SupportedIsas(); }
#endif
#define AUTODIST_FOR_EVERY_ISA(Suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, Suite, testing::ValuesIn(TestedIsas()), NameOfParam)

// Relative spacing of a dtype's values: a rounding error is at most half of it.
inline double Epsilon(core::DType dtype) {
  return dtype == core::DType::kF32 ? 0x1p-23 : dtype == core::DType::kF16 ? 0x1p-10 : 0x1p-7;
}

inline double ReadElement(core::ConstTensorView view, int64_t row, int64_t col) {
  const auto element = view.Rows(row, 1).Cols(col, 1);
  switch (view.dtype()) {
    case core::DType::kBF16:
      return core::ToFloat(*element.row<core::BFloat16>(0));
    case core::DType::kF16:
      return core::ToFloat(*element.row<core::Float16>(0));
    default:
      return *element.row<float>(0);
  }
}

inline void WriteElement(core::TensorView view, int64_t row, int64_t col, double value) {
  const auto element = view.Rows(row, 1).Cols(col, 1);
  const auto rounded = static_cast<float>(value);
  switch (view.dtype()) {
    case core::DType::kBF16:
      *element.row<core::BFloat16>(0) = core::ToBFloat16(rounded);
      break;
    case core::DType::kF16:
      *element.row<core::Float16>(0) = core::ToFloat16(rounded);
      break;
    default:
      *element.row<float>(0) = rounded;
  }
}

// An owned matrix whose first element lies `misaligned` elements after a 64-byte border and whose
// rows are `gap` elements apart. The room around holds a guard value: GuardsIntact() tells whether
// somebody wrote there.
class TestMatrix {
 public:
  TestMatrix(core::DType dtype, int64_t rows, int64_t cols, int64_t misaligned = 0, int64_t gap = 0)
      : misaligned_(misaligned),
        stride_(cols + gap),
        buffer_(static_cast<size_t>(misaligned + (rows + 1) * (cols + gap) + 64) *
                core::SizeOf(dtype)),
        all_(buffer_.data(), dtype, 1, misaligned + (rows + 1) * (cols + gap) + 64),
        view_(all_.Cols(misaligned, 0).data(), dtype, rows, cols, cols + gap) {
    for (int64_t i = 0; i < all_.cols(); ++i) WriteElement(all_, 0, i, kGuard);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = 0; col < cols; ++col) WriteElement(view_, row, col, 0.0);
    }
  }

  // Uniform in [-scale, scale), different in every element.
  TestMatrix Randomize(uint64_t seed, double scale = 1.0) && {
    for (int64_t row = 0; row < view_.rows(); ++row) {
      for (int64_t col = 0; col < view_.cols(); ++col) {
        const auto index = static_cast<uint64_t>(row * view_.cols() + col);
        WriteElement(view_, row, col, scale * (2 * core::UniformDouble(seed, 0, index) - 1));
      }
    }
    return std::move(*this);
  }

  core::TensorView view() const { return view_; }
  double at(int64_t row, int64_t col) const { return ReadElement(view_, row, col); }
  std::vector<double> values() const {
    std::vector<double> values;
    for (int64_t row = 0; row < view_.rows(); ++row) {
      for (int64_t col = 0; col < view_.cols(); ++col) values.push_back(at(row, col));
    }
    return values;
  }
  std::vector<double> Row(int64_t row) const {
    const std::vector<double> all = values();
    return {all.begin() + row * view_.cols(), all.begin() + (row + 1) * view_.cols()};
  }
  bool GuardsIntact() const {
    for (int64_t i = 0; i < all_.cols(); ++i) {
      const int64_t in_view = i - misaligned_;
      const bool inside =
          in_view >= 0 && in_view / stride_ < view_.rows() && in_view % stride_ < view_.cols();
      if (!inside && ReadElement(all_, 0, i) != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr double kGuard = 12352;  // exact in every dtype

  int64_t misaligned_;
  int64_t stride_;
  device::Buffer buffer_;
  core::TensorView all_;
  core::TensorView view_;
};

// Each |actual - expected| <= tolerance, and actual is rounded to its dtype once more.
inline void ExpectNear(const TestMatrix& actual, const std::vector<double>& expected,
                       double tolerance) {
  ASSERT_EQ(actual.values().size(), expected.size());
  const std::vector<double> values = actual.values();
  const double rounding = Epsilon(actual.view().dtype()) / 2;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(values[i], expected[i], tolerance + rounding * (std::abs(expected[i]) + tolerance))
        << "element " << i;
  }
  EXPECT_TRUE(actual.GuardsIntact());
}

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_TESTING_H_
