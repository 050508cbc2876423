#include "autodist/kernels/matmul.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

// A weight and the memory of its packed form.
struct OwnedWeight {
  OwnedWeight(device::Stream& stream, const TestMatrix& w_NK, DType dtype)
      : layout(dtype, w_NK.view().rows(), w_NK.view().cols()), memory(layout.bytes()) {
    PackRows(stream, w_NK.view(), layout, 0, 0, memory.data());
  }
  PackedWeight view() const { return {layout, memory.data()}; }

  PackedLayout layout;
  device::Buffer memory;
};

TEST(PackedLayoutTest, Float32BlocksHoldOneInputOf64OutputsAfterTheOther) {
  const PackedLayout layout(DType::kF32, 65, 3);
  EXPECT_EQ(layout.bytes(), 2u * 3 * 64 * sizeof(float));
  EXPECT_EQ(layout.Index(0, 0), 0);
  EXPECT_EQ(layout.Index(1, 0), 1);
  EXPECT_EQ(layout.Index(1, 2), 2 * 64 + 1);
  EXPECT_EQ(layout.Index(64, 1), 3 * 64 + 64);
}

TEST(PackedLayoutTest, BFloat16BlocksHoldPairsOfInputs) {
  const PackedLayout layout(DType::kBF16, 65, 33);
  EXPECT_EQ(layout.padded_k(), 64);
  EXPECT_EQ(layout.bytes(), 2u * 64 * 64 * sizeof(core::BFloat16));
  EXPECT_EQ(layout.Index(0, 1), 1);
  EXPECT_EQ(layout.Index(1, 0), 2);
  EXPECT_EQ(layout.Index(1, 3), 128 + 2 + 1);
  EXPECT_EQ(layout.Index(64, 0), 64 * 64);
}

class MatmulTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(MatmulTest);

// Every element at its place, and zero everywhere else, whatever pieces the weight came in.
TEST_P(MatmulTest, PiecesInAnyOrderPackTheSame) {
  constexpr int64_t kN = 131, kK = 301;
  for (const DType from : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const DType to : {DType::kF32, DType::kBF16}) {
      const TestMatrix w_NK = TestMatrix(from, kN, kK, 1, 3).Randomize(1);
      const PackedLayout layout(to, kN, kK);
      const device::Buffer packed(layout.bytes());
      // Cuts at odd places, and the last piece first.
      const int64_t n_cuts[] = {0, 1, 63, 100, kN}, k_cuts[] = {0, 7, 130, kK};
      for (int i = 3; i >= 0; --i) {
        for (int j = 2; j >= 0; --j) {
          const int64_t n = n_cuts[i], n_count = n_cuts[i + 1] - n, k = k_cuts[j],
                        k_count = k_cuts[j + 1] - k;
          PackRows(stream_, w_NK.view().Rows(n, n_count).Cols(k, k_count), layout, n, k,
                   packed.data());
        }
      }
      TestMatrix expected(to, 1, static_cast<int64_t>(layout.bytes() / core::SizeOf(to)));
      for (int64_t n = 0; n < kN; ++n) {
        for (int64_t k = 0; k < kK; ++k)
          WriteElement(expected.view(), 0, layout.Index(n, k), w_NK.at(n, k));
      }
      EXPECT_EQ(std::memcmp(packed.data(), expected.view().data(), layout.bytes()), 0);
    }
  }
}

// |error| of a chain of K fused multiply-adds is at most about K * eps * sum|x w| / 2, and nearer
// to sqrt(K): x and w are uniform in [-1, 1), so sum|x w| is about K / 4.
double Tolerance(int64_t k) {
  return 4 * std::sqrt(static_cast<double>(k)) * Epsilon(DType::kF32) * static_cast<double>(k + 4) /
         4;
}

TEST_P(MatmulTest, LinearEqualsTheReference) {
  struct Shape {
    int64_t m, n, k;
  };
  // One row, a few, the tile kernel's border, parts and wholes of register blocks, chunks and
  // slabs.
  const Shape shapes[] = {{1, 64, 32},    {1, 1, 1},    {1, 130, 301},  {2, 64, 7},
                          {3, 200, 65},   {5, 63, 256}, {5, 63, 701},   {7, 70, 513},
                          {8, 64, 64},    {9, 129, 33}, {16, 65, 31},   {17, 64, 100},
                          {31, 66, 1025}, {32, 64, 96}, {33, 10, 34},   {97, 128, 40},
                          {130, 61, 257}, {40, 70, 1},  {530, 90, 1100}};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const auto& [m, n, k] : shapes) {
      SCOPED_TRACE(testing::Message() << core::NameOf(dtype) << " " << m << "x" << n << "x" << k);
      const TestMatrix x = TestMatrix(dtype, m, k, 3, 5).Randomize(1);
      const TestMatrix w = TestMatrix(dtype, n, k).Randomize(2);
      const TestMatrix bias = TestMatrix(DType::kF32, 1, n, 1).Randomize(3);
      const OwnedWeight packed(stream_, w, dtype);
      std::vector<double> expected = reference::Linear(x.values(), w.values(), m, n, k);

      TestMatrix y(DType::kF32, m, n, 1, 2);
      Linear(stream_, x.view(), packed.view(), y.view());
      ExpectNear(y, expected, Tolerance(k));

      for (int64_t i = 0; i < m * n; ++i) expected[i] = 2 * expected[i] + 2 * bias.at(0, i % n);
      Linear(stream_, x.view(), packed.view(), y.view(), bias.view());
      Linear(stream_, x.view(), packed.view(), y.view(), bias.view(), /*accumulate=*/true);
      ExpectNear(y, expected, 2 * Tolerance(k));
    }
  }
}

// What lies behind the rows of x must not matter: with K not a multiple of 32 the packed zeros meet
// no garbage.
TEST_P(MatmulTest, NanBesideARowOfXStaysThere) {
  for (const int64_t m : {1, 9}) {
    const TestMatrix whole = TestMatrix(DType::kBF16, m, 48).Randomize(1);
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t col = 37; col < 48; ++col) WriteElement(whole.view(), row, col, std::nan(""));
    }
    const TestMatrix w = TestMatrix(DType::kBF16, 64, 37).Randomize(2);
    const OwnedWeight packed(stream_, w, DType::kBF16);
    const TestMatrix y(DType::kF32, m, 64);
    Linear(stream_, whole.view().Cols(0, 37), packed.view(), y.view());
    EXPECT_THAT(y.values(),
                testing::Each(testing::Truly([](double value) { return std::isfinite(value); })));
  }
}

std::vector<double> LinearOf(device::Isa isa, int threads, core::ConstTensorView x,
                             const PackedWeight& weight) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const TestMatrix y(DType::kF32, x.rows(), weight.layout.n);
  Linear(stream, x, weight, y.view());
  return y.values();
}

TEST_P(MatmulTest, BitsDoNotDependOnThreads) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    // The second has too few blocks for the threads: rows are split there. The fourth has enough to
    // hand them out a few at a time, and so has the last, whose weight is what counts.
    for (const auto& [m, n] :
         {std::pair<int64_t, int64_t>{3, 450}, {200, 64}, {40, 450}, {70, 2100}, {2, 8200}}) {
      const TestMatrix x = TestMatrix(dtype, m, 300).Randomize(1);
      const OwnedWeight packed(stream_, TestMatrix(dtype, n, 300).Randomize(2), dtype);
      const std::vector<double> one = LinearOf(GetParam(), 1, x.view(), packed.view());
      EXPECT_EQ(LinearOf(GetParam(), 2, x.view(), packed.view()), one);
      EXPECT_EQ(LinearOf(GetParam(), 5, x.view(), packed.view()), one);
    }
  }
}

TEST_P(MatmulTest, BitsOfARowDoNotDependOnTheOthers) {
  constexpr int64_t kRows = 130, kN = 100, kK = 1100;
  // The products of the third are too small to be normal numbers.
  for (const auto& [dtype, scale] :
       {std::pair(DType::kF32, 1.0), {DType::kBF16, 1.0}, {DType::kBF16, 1e-20}}) {
    const TestMatrix x = TestMatrix(dtype, kRows, kK).Randomize(1, scale);
    const OwnedWeight packed(stream_, TestMatrix(dtype, kN, kK).Randomize(2, scale), dtype);
    const std::vector<double> all = LinearOf(GetParam(), 1, x.view(), packed.view());
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1},
                                       {5, 2},
                                       {7, 3},
                                       {8, 4},
                                       {9, 7},
                                       {3, 8},
                                       {40, 33},
                                       {1, 97}}) {
      const std::vector<double> some =
          LinearOf(GetParam(), 1, x.view().Rows(first, count), packed.view());
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + first * kN))
          << first << " " << count;
    }
  }
}

// [gate, up] that never goes to memory gives the bits of one that does.
TEST_P(MatmulTest, GatedIsTheProductAndThenTheActivation) {
  struct Shape {
    int64_t m, f, k;
  };
  // Few rows; halves of blocks that meet in one block, and that do not; several slabs; many chunks;
  // a width that is no half block.
  for (const auto& [m, f, k] : {Shape{1, 128, 96},
                                {3, 64, 40},
                                {16, 192, 511},
                                {17, 64, 40},
                                {25, 192, 300},
                                {32, 128, 2100},
                                {40, 32, 70},
                                {33, 96, 300},
                                {70, 160, 2100},
                                {530, 64, 64},
                                {40, 33, 64}}) {
    for (const auto& [dtype, to, has_bias] : {std::tuple(DType::kBF16, DType::kBF16, false),
                                              {DType::kBF16, DType::kBF16, true},
                                              {DType::kBF16, DType::kF32, true},
                                              {DType::kF32, DType::kF32, false},
                                              {DType::kF32, DType::kF32, true}}) {
      SCOPED_TRACE(testing::Message() << m << "x" << f << "x" << k << " " << core::NameOf(dtype)
                                      << " to " << core::NameOf(to) << " bias " << has_bias);
      const TestMatrix x = TestMatrix(dtype, m, k, 0, 3).Randomize(1);
      const OwnedWeight packed(stream_, TestMatrix(dtype, 2 * f, k).Randomize(2), dtype);
      const TestMatrix bias = TestMatrix(DType::kF32, 1, 2 * f).Randomize(3);
      const core::ConstTensorView bias_N = has_bias ? bias.view() : core::ConstTensorView();
      TestMatrix gate_up(DType::kF32, m, 2 * f), expected(to, m, f, 1, 2), y(to, m, f, 1, 2);
      Linear(stream_, x.view(), packed.view(), gate_up.view(), bias_N);
      ActivateGated(stream_, ActivationKind::kSilu, gate_up.view().Cols(0, f),
                    gate_up.view().Cols(f, f), expected.view());
      for (const int threads : {1, 3, 5}) {  // shares that begin inside of a block
        device::ThreadPool pool(threads);
        device::Stream stream(pool, GetParam());
        LinearGated(stream, x.view(), packed.view(), bias_N, ActivationKind::kSilu, gate_up.view(),
                    y.view());
        EXPECT_EQ(y.values(), expected.values()) << threads;
      }
    }
  }
}

TEST_P(MatmulTest, NoRowsIsNoWork) {
  const OwnedWeight packed(stream_, TestMatrix(DType::kF32, 5, 4).Randomize(1), DType::kF32);
  Linear(stream_, {nullptr, DType::kF32, 0, 4}, packed.view(), {nullptr, DType::kF32, 0, 5});
}

}  // namespace
}  // namespace autodist::kernels
