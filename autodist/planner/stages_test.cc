#include "autodist/planner/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "autodist/core/random.h"
#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using spec::Range;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int64_t> Sizes(const std::vector<Range>& ranges) {
  std::vector<int64_t> sizes;
  for (const Range& range : ranges) sizes.push_back(range.size());
  return sizes;
}

// Equal layers; the first stage also holds `front`, the last one `back`.
StageLoad Layers(double front, double back, int stages) {
  return [=](int stage, Range layers) {
    return static_cast<double>(layers.size()) + (stage == 0 ? front : 0.0) +
           (stage + 1 == stages ? back : 0.0);
  };
}

TEST(StagesTest, EqualLayers) {
  EXPECT_THAT(Sizes(BalanceStages(12, 3, Layers(0, 0, 3))), ElementsAre(4, 4, 4));
  EXPECT_THAT(Sizes(BalanceStages(5, 2, Layers(0, 0, 2))), ElementsAre(3, 2));
  EXPECT_THAT(Sizes(BalanceStages(4, 4, Layers(0, 0, 4))), ElementsAre(1, 1, 1, 1));
}

TEST(StagesTest, TheEndsHoldFewerLayersForTheirTables) {
  EXPECT_THAT(Sizes(BalanceStages(16, 4, Layers(2, 2, 4))), ElementsAre(3, 5, 5, 3));
  // The head alone outweighs everything: the other stages still share the rest evenly.
  EXPECT_THAT(Sizes(BalanceStages(9, 3, Layers(0, 100, 3))), ElementsAre(4, 4, 1));
}

TEST(StagesTest, UnequalMemory) {
  // Stage 1 has three times the memory of stage 0.
  const StageLoad load = [](int stage, Range layers) {
    return static_cast<double>(layers.size()) / (stage == 0 ? 1.0 : 3.0);
  };
  EXPECT_THAT(Sizes(BalanceStages(12, 2, load)), ElementsAre(3, 9));
}

// Against every possible cut, for loads that differ by layer and by stage.
TEST(StagesTest, NoCutIsBetter) {
  for (uint64_t round = 0; round < 200; ++round) {
    const int64_t layers = 3 + static_cast<int64_t>(core::RandomBits(7, round, 0) % 7);
    std::vector<double> weight;
    for (int64_t i = 0; i < layers; ++i)
      weight.push_back(
          1.0 + static_cast<double>(core::RandomBits(7, round, static_cast<uint64_t>(i + 1)) % 9));
    const StageLoad load = [&](int stage, Range range) {
      double sum = stage;
      for (int64_t i = range.first; i < range.last; ++i)
        sum += weight[static_cast<size_t>(i)] / (1.0 + stage % 2);
      return sum;
    };
    double best = std::numeric_limits<double>::infinity();
    for (int64_t a = 1; a < layers - 1; ++a)
      for (int64_t b = a + 1; b < layers; ++b)
        best = std::min(best, std::max({load(0, {0, a}), load(1, {a, b}), load(2, {b, layers})}));
    const auto ranges = BalanceStages(layers, 3, load);
    double actual = 0.0;
    for (int stage = 0; stage < 3; ++stage)
      actual = std::max(actual, load(stage, ranges[static_cast<size_t>(stage)]));
    EXPECT_EQ(actual, best);
  }
}

TEST(StagesTest, Layout) {
  EXPECT_THAT(StagesFromLayout(5, 2, {1, 4}), ElementsAre(Range{0, 1}, Range{1, 5}));
  for (const std::vector<int64_t>& wrong : {std::vector<int64_t>{2, 2},
                                            {5},
                                            {1, 2, 2},
                                            {0, 5},
                                            {-1, 6},
                                            {std::numeric_limits<int64_t>::max(), 1}})
    EXPECT_THAT(testing::RefusalOf([&] { StagesFromLayout(5, 2, wrong); }),
                AllOf(HasSubstr(fmt::format("--stage-layers {}", wrong[0])), HasSubstr("2 stages"),
                      HasSubstr("5 layers")));
}

}  // namespace
}  // namespace autodist::planner
