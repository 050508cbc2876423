#include "autodist/kernels/quantise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autodist/kernels/embedding.h"
#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;
using core::WeightFormat;

constexpr WeightFormat kFormats[] = {WeightFormat::kInt8, WeightFormat::kInt4};

// Columns [first, first + k) of w, quantised as those columns of the whole w are.
struct QuantisedWeight {
  QuantisedWeight(device::Stream& stream, const TestMatrix& w_NK, WeightFormat format,
                  int64_t first = 0, int64_t k = -1)
      : layout(format, w_NK.view().rows(), k < 0 ? w_NK.view().cols() : k,
               first % core::kGroupInputs),
        memory(layout.bytes()) {
    const int64_t begin = first - layout.lead;
    const int64_t end = std::min(w_NK.view().cols(), begin + layout.padded_k());
    PackRows(stream, w_NK.view().Cols(begin, end - begin), layout, 0, 0, memory.data());
  }
  PackedWeight view() const { return {layout, memory.data()}; }
  std::vector<double> values() const {
    std::vector<double> values;
    std::vector<float> row(static_cast<size_t>(layout.k));
    for (int64_t n = 0; n < layout.n; ++n) {
      DequantiseRow(view(), n, row.data());
      values.insert(values.end(), row.begin(), row.end());
    }
    return values;
  }

  PackedLayout layout;
  device::Buffer memory;
};

TEST(QuantisedLayoutTest, AGroupRowHolds64ScalesAndTheCodesOf64Times32Weights) {
  EXPECT_EQ(PackedLayout(WeightFormat::kInt8, 64, 32).bytes(), 64u * (2 + 32));
  EXPECT_EQ(PackedLayout(WeightFormat::kInt4, 64, 32).bytes(), 64u * (2 + 16));
  // Outputs are padded to 64, inputs with those before the first to 32.
  EXPECT_EQ(PackedLayout(WeightFormat::kInt8, 65, 33).bytes(), 2u * 2 * 64 * 34);
  EXPECT_EQ(PackedLayout(WeightFormat::kInt4, 10, 32, 1).bytes(), 2u * 64 * 18);
  EXPECT_EQ(core::BitsPerWeight(WeightFormat::kInt8), 8.5);
  EXPECT_EQ(core::BitsPerWeight(WeightFormat::kInt4), 4.5);
}

class QuantiseTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(QuantiseTest);

double SquaredError(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// What blocks of 32 with one f16 scale give when the scale is the largest weight over the last
// level: the plain way that the search must beat. The last group may be shorter.
std::vector<double> PlainlyQuantised(const std::vector<double>& w, int64_t k, bool int8) {
  std::vector<double> result = w;
  for (size_t row = 0; row < w.size(); row += static_cast<size_t>(k)) {
    for (int64_t first = 0; first < k; first += 32) {
      const size_t begin = row + static_cast<size_t>(first);
      const size_t end = row + static_cast<size_t>(std::min(k, first + 32));
      double largest = 0;
      for (size_t i = begin; i < end; ++i)
        if (std::abs(w[i]) > std::abs(largest)) largest = w[i];
      const double exact = int8 ? std::abs(largest) / 127 : largest / -8;
      const double scale = core::ToFloat(core::ToFloat16(static_cast<float>(exact)));
      for (size_t i = begin; i < end; ++i) {
        const double t = exact == 0 ? 0 : w[i] / exact;
        result[i] = scale * (int8 ? std::round(t) : std::clamp(std::floor(t + 8.5), 0.0, 15.0) - 8);
      }
    }
  }
  return result;
}

// Sums of three uniform numbers are near enough to normal.
TestMatrix BellShaped(int64_t rows, int64_t cols, uint64_t seed) {
  TestMatrix w(DType::kF32, rows, cols);
  for (int64_t i = 0; i < rows * cols; ++i) {
    double sum = 0;
    for (uint64_t part = 0; part < 3; ++part)
      sum += core::UniformDouble(seed, part, static_cast<uint64_t>(i)) - 0.5;
    WriteElement(w.view(), i / cols, i % cols, sum);
  }
  return w;
}

TEST_P(QuantiseTest, ErrorIsBelowThatOfThePlainScale) {
  const TestMatrix w = BellShaped(130, 300, 1);
  const QuantisedWeight int8(stream_, w, WeightFormat::kInt8);
  EXPECT_LT(SquaredError(int8.values(), w.values()),
            0.9 * SquaredError(PlainlyQuantised(w.values(), 300, true), w.values()));
  const QuantisedWeight int4(stream_, w, WeightFormat::kInt4);
  EXPECT_LT(SquaredError(int4.values(), w.values()),
            0.8 * SquaredError(PlainlyQuantised(w.values(), 300, false), w.values()));
}

TEST_P(QuantiseTest, EveryInstructionSetFindsTheSameCodes) {
  const TestMatrix w = BellShaped(70, 100, 2);
  device::Stream plain(pool_, device::Isa::kAvx2);
  for (const WeightFormat format : kFormats) {
    const QuantisedWeight a(stream_, w, format), b(plain, w, format);
    EXPECT_EQ(std::memcmp(a.memory.data(), b.memory.data(), a.layout.bytes()), 0);
  }
}

TEST_P(QuantiseTest, MultiplesOfOneScaleAreExact) {
  TestMatrix w8(DType::kF32, 3, 40), w4(DType::kF32, 3, 40);
  for (int64_t n = 0; n < 3; ++n) {
    for (int64_t k = 0; k < 40; ++k) {
      const double scale = std::ldexp(n == 1 ? -1.0 : 1.0, static_cast<int>(n));
      WriteElement(w8.view(), n, k, scale * static_cast<double>(k % 32 == 0 ? -128 : 3 * k));
      WriteElement(w4.view(), n, k, scale * kInt4Levels[static_cast<size_t>(k % 16)]);
    }
  }
  EXPECT_EQ(QuantisedWeight(stream_, w8, WeightFormat::kInt8).values(), w8.values());
  EXPECT_EQ(QuantisedWeight(stream_, w4, WeightFormat::kInt4).values(), w4.values());
}

TEST_P(QuantiseTest, ZerosStayZerosAndNaNStaysInItsGroup) {
  TestMatrix w = TestMatrix(DType::kF32, 2, 64).Randomize(1);
  for (int64_t k = 0; k < 64; ++k) WriteElement(w.view(), 0, k, 0.0);
  WriteElement(w.view(), 1, 3, std::nan(""));
  for (const WeightFormat format : kFormats) {
    const std::vector<double> values = QuantisedWeight(stream_, w, format).values();
    for (size_t k = 0; k < 64; ++k) {
      EXPECT_EQ(values[k], 0.0);
      EXPECT_EQ(std::isnan(values[64 + k]), k < 32) << k;
    }
  }
}

TEST_P(QuantiseTest, PiecesOfRowsGiveTheSame) {
  const TestMatrix w = BellShaped(150, 70, 3);
  for (const WeightFormat format : kFormats) {
    const QuantisedWeight whole(stream_, w, format);
    const device::Buffer pieces(whole.layout.bytes());
    for (const auto& [first, last] :
         {std::pair<int64_t, int64_t>{70, 150}, {0, 1}, {1, 60}, {60, 70}}) {
      PackRows(stream_, w.view().Rows(first, last - first), whole.layout, first, 0, pieces.data());
    }
    EXPECT_EQ(std::memcmp(pieces.data(), whole.memory.data(), whole.layout.bytes()), 0);
  }
}

// The parts of a matrix whose inputs are cut at any place hold the values of the whole.
TEST_P(QuantiseTest, ACutInsideAGroupKeepsTheValuesOfTheWhole) {
  constexpr int64_t kN = 66, kK = 150;
  const TestMatrix w = BellShaped(kN, kK, 4);
  for (const WeightFormat format : kFormats) {
    const std::vector<double> whole = QuantisedWeight(stream_, w, format).values();
    for (const auto& [first, last] :
         {std::pair<int64_t, int64_t>{0, 43}, {43, 48}, {48, 97}, {97, kK}, {64, 128}}) {
      const std::vector<double> part =
          QuantisedWeight(stream_, w, format, first, last - first).values();
      for (int64_t n = 0; n < kN; ++n) {
        EXPECT_TRUE(std::equal(part.begin() + n * (last - first),
                               part.begin() + (n + 1) * (last - first),
                               whole.begin() + n * kK + first));
      }
    }
  }
}

TEST_P(QuantiseTest, EmbedLooksUpDequantisedRows) {
  const TestMatrix w = BellShaped(100, 37, 5);
  const std::vector<int32_t> ids = {17, 3, 99, 120};
  for (const WeightFormat format : kFormats) {
    const QuantisedWeight table(stream_, w, format);
    const std::vector<double> values = table.values();
    const TestMatrix y(DType::kF32, 4, 37);
    Embed(stream_, ids, 0, table.view(), y.view());
    for (size_t t = 0; t < 3; ++t) {
      EXPECT_EQ(
          y.Row(static_cast<int64_t>(t)),
          std::vector<double>(values.begin() + ids[t] * 37, values.begin() + (ids[t] + 1) * 37));
    }
    EXPECT_EQ(y.Row(3), std::vector<double>(37, 0.0));
  }
}

// The most rows whose codes are multiplied as they are.
int64_t FewRows(device::Isa isa) {
  return isa == device::Isa::kAmx ? 8 : isa == device::Isa::kAvx2 ? 16 : 32;
}

// |error| of a chain of K products of x in [-1, 1) and w: see matmul_test.cc. With more rows,
// weights are rounded to bf16 before bf16 products.
double Tolerance(int64_t k, bool rounded, double largest_weight) {
  const double terms = std::sqrt(static_cast<double>(k)) * largest_weight;
  return 4 * terms * Epsilon(DType::kF32) * std::sqrt(static_cast<double>(k + 4)) +
         (rounded ? terms * Epsilon(DType::kBF16) : 0);
}

TEST_P(QuantiseTest, LinearEqualsTheReferenceOnDequantisedWeights) {
  struct Shape {
    int64_t n, k, first;  // the first input, of a matrix that reaches 20 inputs further
  };
  const Shape shapes[] = {{64, 32, 0},  {1, 1, 0},     {130, 301, 0},
                          {63, 256, 0}, {65, 100, 16}, {70, 65, 7}};
  for (const WeightFormat format : kFormats) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const auto& [n, k, first] : shapes) {
        const QuantisedWeight weight(stream_, BellShaped(n, first + k + 20, 6), format, first, k);
        const std::vector<double> w = weight.values();
        double largest = 0;
        for (const double value : w) largest = std::max(largest, std::abs(value));
        for (int64_t m = 1; m <= 40; m = m < 10 ? m + 1 : m + 5) {
          SCOPED_TRACE(testing::Message() << core::NameOf(format) << " " << core::NameOf(dtype)
                                          << " " << m << "x" << n << "x" << k << " from " << first);
          const TestMatrix x = TestMatrix(dtype, m, k, 3, 5).Randomize(7);
          const TestMatrix bias = TestMatrix(DType::kF32, 1, n, 1).Randomize(8);
          std::vector<double> expected = reference::Linear(x.values(), w, m, n, k);
          const double tolerance =
              Tolerance(k, dtype == DType::kBF16 && m > FewRows(GetParam()), largest);

          TestMatrix y(DType::kF32, m, n, 1, 2);
          Linear(stream_, x.view(), weight.view(), y.view());
          ExpectNear(y, expected, tolerance);

          for (int64_t i = 0; i < m * n; ++i) expected[i] = 2 * expected[i] + 2 * bias.at(0, i % n);
          Linear(stream_, x.view(), weight.view(), y.view(), bias.view());
          Linear(stream_, x.view(), weight.view(), y.view(), bias.view(), /*accumulate=*/true);
          ExpectNear(y, expected, 2 * tolerance);
        }
      }
    }
  }
}

// Whole numbers, which AVX2 makes of bf16, are as fine as 2^-15 of the largest input of a group.
TEST_P(QuantiseTest, SmallInputsBesideALargeOneCountAndExtremeOnesAreNotLost) {
  constexpr int64_t kN = 70, kK = 96;
  for (const WeightFormat format : kFormats) {
    const QuantisedWeight weight(stream_, BellShaped(kN, kK, 9), format);
    const std::vector<double> w = weight.values();
    for (const double largest : {1.0, 0x1p-100, 0x1p100, 0x1p-130}) {
      for (const int64_t m : {1, 2, 3, 4, 7}) {
        const TestMatrix x = TestMatrix(DType::kBF16, m, kK).Randomize(10);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t k = 0; k < kK; ++k) {
            const double spread = k % 32 == 5 ? 1.0 : std::ldexp(1.0, -static_cast<int>(k % 20));
            WriteElement(x.view(), i, k, x.at(i, k) * spread * largest);
          }
          WriteElement(x.view(), i, 32, largest);
        }
        const std::vector<double> expected = reference::Linear(x.values(), w, m, kN, kK);
        double sum = 0;
        for (const double value : w) sum = std::max(sum, std::abs(value) * kK);
        const TestMatrix y(DType::kF32, m, kN);
        Linear(stream_, x.view(), weight.view(), y.view());
        // Below 2^-112 units cannot follow; sums below 2^-126 have fewer bits, or are flushed.
        const double finest = std::max(largest * 0x1p-15, 0x1p-126);
        ExpectNear(y, expected, sum * (finest + largest * 64 * Epsilon(DType::kF32)));
      }
    }
  }
}

TEST_P(QuantiseTest, NaNAndInfinityOfAnInputReachEveryOutputOfTheirRow) {
  constexpr int64_t kN = 70, kK = 96;
  for (const WeightFormat format : kFormats) {
    const QuantisedWeight weight(stream_, BellShaped(kN, kK, 9), format);
    for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      const TestMatrix x = TestMatrix(DType::kBF16, 3, kK).Randomize(10);
      WriteElement(x.view(), 1, 40, bad);
      const TestMatrix y(DType::kF32, 3, kN);
      Linear(stream_, x.view(), weight.view(), y.view());
      for (int64_t i = 0; i < 3 * kN; ++i)
        EXPECT_EQ(std::isfinite(y.at(i / kN, i % kN)), i / kN != 1) << bad << " " << i;
    }
  }
}

std::vector<double> LinearOf(device::Isa isa, int threads, bool deterministic,
                             core::ConstTensorView x, const PackedWeight& weight) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa, deterministic);
  const TestMatrix y(DType::kF32, x.rows(), weight.layout.n);
  Linear(stream, x, weight, y.view());
  return y.values();
}

// Tiles take whole steps of inputs, beyond those of an output: what is there is not the next
// output's.
TEST_P(QuantiseTest, NaNStaysInItsOutput) {
  constexpr int64_t kN = 128, kK = 70, kBroken = 64;
  for (const int64_t lead : {0, 16}) {
    const TestMatrix w = TestMatrix(DType::kF32, kN, lead + kK).Randomize(1);
    for (int64_t k = 0; k < lead + kK; ++k) WriteElement(w.view(), kBroken, k, std::nan(""));
    const QuantisedWeight quantised(stream_, w, WeightFormat::kInt8, lead, kK);
    for (const int64_t m : {1, 40}) {
      const TestMatrix x = TestMatrix(DType::kBF16, m, kK).Randomize(2);
      const TestMatrix y(DType::kF32, m, kN);
      Linear(stream_, x.view(), quantised.view(), y.view());
      for (int64_t i = 0; i < m * kN; ++i)
        EXPECT_EQ(std::isnan(y.at(i / kN, i % kN)), i % kN == kBroken) << lead << " " << m;
    }
  }
}

TEST_P(QuantiseTest, BitsDependOnNeitherThreadsNorTheOtherRowsOfTheSameWay) {
  constexpr int64_t kRows = 70, kN = 100, kK = 300;
  for (const WeightFormat format : kFormats) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      const TestMatrix x = TestMatrix(dtype, kRows, kK).Randomize(1);
      const QuantisedWeight weight(stream_, BellShaped(kN, kK, 2), format);
      const auto of = [&](int64_t first, int64_t count, int threads, bool deterministic) {
        return LinearOf(GetParam(), threads, deterministic, x.view().Rows(first, count),
                        weight.view());
      };
      const std::vector<double> many = of(0, kRows, 1, false), same = of(0, kRows, 1, true);
      EXPECT_EQ(of(0, kRows, 3, false), many);
      EXPECT_EQ(of(0, kRows, 3, true), same);
      for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1},
                                         {5, 2},
                                         {9, 7},
                                         {3, 9},
                                         {5, 17},
                                         {40, 24},
                                         {1, 40}}) {
        const std::vector<double>& expected = count <= FewRows(GetParam()) ? same : many;
        const std::vector<double> some = of(first, count, 1, false);
        EXPECT_TRUE(std::equal(some.begin(), some.end(), expected.begin() + first * kN)) << count;
        const std::vector<double> alike = of(first, count, 2, true);
        EXPECT_TRUE(std::equal(alike.begin(), alike.end(), same.begin() + first * kN)) << count;
      }
    }
  }
}

}  // namespace
}  // namespace autodist::kernels
