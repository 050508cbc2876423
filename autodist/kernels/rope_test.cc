#include "autodist/kernels/rope.h"

#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

class RopeTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(RopeTest);

TEST_P(RopeTest, TurnsEachHeadAndLeavesWhatIsBehindTheRotaryDim) {
  const std::vector<int32_t> positions = {0, 1, 77, 300};
  for (const auto& [head_dim, pairs] : {std::pair<int64_t, size_t>{8, 4},
                                        {10, 5},
                                        {12, 6},
                                        {16, 8},
                                        {64, 32},
                                        {80, 16},
                                        {128, 64}}) {
    std::vector<float> frequencies;
    for (size_t i = 0; i < pairs; ++i) {
      frequencies.push_back(static_cast<float>(
          std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(pairs))));
    }
    const RopeTable table = MakeRopeTable(frequencies, 1.25f, 301);
    EXPECT_EQ(table.rotary_dim, static_cast<int64_t>(2 * pairs));
    const TestMatrix x = TestMatrix(DType::kF32, 4, 3 * head_dim, 1, 5).Randomize(1);
    std::vector<double> expected = x.values();
    for (size_t head = 0; head < 12; ++head) {
      reference::Rope(std::span(expected).subspan(head * head_dim, head_dim), positions[head / 3],
                      frequencies, 1.25);
    }
    Rope(stream_, positions, table, head_dim, x.view());
    // An angle of up to 300 is rounded to f32: an error of 300 * 2^-24, and the same in its cosine.
    ExpectNear(x, expected, 2.5 * 300 * 0x1p-24);
  }
}

TEST(RopeTableTest, PositionZeroIsTheAttentionFactor) {
  const float frequencies[] = {1.0f, 0.5f};
  const RopeTable table = MakeRopeTable(frequencies, 2.0f, 3);
  EXPECT_EQ(table.cos[0], 2.0f);
  EXPECT_EQ(table.sin[1], 0.0f);
  EXPECT_NEAR(table.cos[2 * 2 + 1], 2 * std::cos(1.0), 1e-6);  // position 2, frequency 0.5
}

}  // namespace
}  // namespace autodist::kernels
