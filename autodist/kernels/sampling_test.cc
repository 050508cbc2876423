#include "autodist/kernels/sampling.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class SamplingTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(SamplingTest);

TEST_P(SamplingTest, ArgmaxFindsTheLargestAtEveryPlaceAndTheFirstOfEquals) {
  for (const int64_t width : {1, 2, 15, 16, 17, 50}) {
    for (int64_t place = 0; place < width; ++place) {
      const TestMatrix x = TestMatrix(DType::kF32, 2, width, 1, 3).Randomize(1);
      WriteElement(x.view(), 0, place, 2);
      WriteElement(x.view(), 0, width - 1, 2);
      WriteElement(x.view(), 1, place, -kInfinity);
      std::vector<ValueIndex> best(2);
      Argmax(stream_, x.view(), best);
      EXPECT_EQ(best[0].index, place);
      EXPECT_EQ(best[0].value, 2);
      const std::vector<double> second = x.Row(1);
      EXPECT_EQ(best[1].index, std::max_element(second.begin(), second.end()) - second.begin());
    }
  }
}

// Rows that are longer than what one look takes.
TEST_P(SamplingTest, ArgmaxOfALongRow) {
  constexpr int64_t kWidth = 9001;
  for (const int64_t place : {0, 4095, 4096, 8191, 9000}) {
    const TestMatrix x = TestMatrix(DType::kF32, 3, kWidth).Randomize(1);
    for (int64_t row = 0; row < 3; ++row) {
      WriteElement(x.view(), row, place, 2 + static_cast<double>(row));
      WriteElement(x.view(), row, kWidth - 1, 2 + static_cast<double>(row));
    }
    for (int64_t i = 0; i < place; ++i) WriteElement(x.view(), 2, i, std::nan(""));
    std::vector<ValueIndex> best(3);
    Argmax(stream_, x.view(), best);
    for (const ValueIndex& found : best) EXPECT_EQ(found.index, place);
    EXPECT_EQ(best[1].value, 3);
  }
}

TEST_P(SamplingTest, NanNeverWins) {
  for (int64_t place = 0; place < 40; ++place) {
    const TestMatrix x(DType::kF32, 1, 40);
    for (int64_t i = 0; i < 40; ++i) WriteElement(x.view(), 0, i, i == 23 ? -1 : -2);
    if (place != 23) WriteElement(x.view(), 0, place, std::nan(""));
    std::vector<ValueIndex> best(1);
    Argmax(stream_, x.view(), best);
    EXPECT_EQ(best[0].index, 23);
    EXPECT_EQ(TopK(stream_, x.view(), 40).front().index, 23);
  }
  const TestMatrix all(DType::kF32, 1, 20);
  for (int64_t i = 0; i < 20; ++i) WriteElement(all.view(), 0, i, std::nan(""));
  std::vector<ValueIndex> best(1);
  Argmax(stream_, all.view(), best);
  EXPECT_EQ(best[0].index, 0);
  EXPECT_EQ(best[0].value, -kInfinity);
}

TEST_P(SamplingTest, TopKIsTheHeadOfAStableSort) {
  for (const int64_t width : {1, 5, 64, 300, 1000}) {
    const TestMatrix x = TestMatrix(DType::kF32, 1, width, 3).Randomize(1);
    // Coarse values, so that many are equal.
    for (int64_t i = 0; i < width; ++i) WriteElement(x.view(), 0, i, std::floor(x.at(0, i) * 20));
    std::vector<int64_t> order(static_cast<size_t>(width));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return x.at(0, a) > x.at(0, b); });
    for (const int64_t count :
         {int64_t{0}, int64_t{1}, int64_t{4}, int64_t{50}, width, width + 1}) {
      const std::vector<ValueIndex> best = TopK(stream_, x.view(), count);
      ASSERT_EQ(static_cast<int64_t>(best.size()), std::min(count, width));
      for (size_t i = 0; i < best.size(); ++i) {
        EXPECT_EQ(best[i].index, order[i]);
        EXPECT_EQ(best[i].value, x.at(0, order[i]));
      }
    }
  }
}

}  // namespace
}  // namespace autodist::kernels
