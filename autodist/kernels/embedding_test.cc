#include "autodist/kernels/embedding.h"

#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

class EmbeddingTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(EmbeddingTest);

// Two ranks hold ids [0, 70) and [70, 100): the sum of what they look up is the embedding.
TEST_P(EmbeddingTest, IdsOfOthersGiveZeros) {
  const std::vector<int32_t> ids = {0, 69, 70, 99, 12, 12};
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const TestMatrix table = TestMatrix(dtype, 100, 37, 1, 2).Randomize(1);
    const TestMatrix low(DType::kF32, 6, 37, 1, 1), high(DType::kF32, 6, 37, 1, 1);
    Embed(stream_, ids, 0, table.view().Rows(0, 70), low.view());
    Embed(stream_, ids, 70, table.view().Rows(70, 30), high.view());
    for (int64_t row = 0; row < 6; ++row) {
      for (int64_t col = 0; col < 37; ++col) {
        EXPECT_EQ(low.at(row, col) + high.at(row, col), table.at(ids[row], col));
        EXPECT_EQ((ids[row] < 70 ? high : low).at(row, col), 0);
      }
    }
    EXPECT_TRUE(low.GuardsIntact());
  }
}

TEST_P(EmbeddingTest, ATiedTableIsReadFromTheHeadsPackedForm) {
  const std::vector<int32_t> ids = {1064, 1000, 999, 1099, 1100};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const TestMatrix table = TestMatrix(dtype, 100, 37).Randomize(1);
    const PackedLayout layout(dtype, 100, 37);
    const device::Buffer packed(layout.bytes());
    PackRows(stream_, table.view(), layout, 0, 0, packed.data());
    const TestMatrix from_rows(DType::kF32, 5, 37), from_packed(DType::kF32, 5, 37);
    Embed(stream_, ids, 1000, table.view(), from_rows.view());
    Embed(stream_, ids, 1000, PackedWeight{layout, packed.data()}, from_packed.view());
    EXPECT_EQ(from_packed.values(), from_rows.values());
    EXPECT_EQ(from_packed.at(1, 36), table.at(0, 36));
    EXPECT_EQ(from_packed.at(4, 0), 0);
  }
}

TEST_P(EmbeddingTest, LearnedPositionsAreAdded) {
  const std::vector<int32_t> rows = {2, 3, 9};
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const TestMatrix table = TestMatrix(dtype, 10, 301).Randomize(1);
    const TestMatrix y = TestMatrix(DType::kF32, 3, 301, 1, 3).Randomize(2);
    std::vector<double> expected = y.values();
    for (int64_t i = 0; i < 3 * 301; ++i) expected[i] += table.at(rows[i / 301], i % 301);
    AddRows(stream_, rows, table.view(), y.view());
    ExpectNear(y, expected, 0.0);
  }
}

}  // namespace
}  // namespace autodist::kernels
