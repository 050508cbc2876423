#include "autodist/tune/bisection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace autodist::tune {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The questions until the end, with ratio(number) as the answers.
template <typename Ratio>
std::map<int, double> Ask(int min, int max, int guess, const Ratio& ratio) {
  std::map<int, double> ratios;
  while (true) {
    const std::vector<int> questions = NextQuestions(min, max, guess, ratios);
    if (questions.empty()) return ratios;
    for (const int number : questions) {
      EXPECT_GE(number, min);
      EXPECT_LE(number, max);
      EXPECT_TRUE(ratios.emplace(number, ratio(number)).second) << number << " asked twice";
    }
  }
}

int SmallestFit(const std::map<int, double>& ratios) {
  for (const auto& [number, ratio] : ratios)
    if (ratio <= 1) return number;
  return 0;
}

TEST(BisectionTest, ARightGuessTakesTwoQuestions) {
  EXPECT_THAT(NextQuestions(1, 32, 8, {}), ElementsAre(7, 8));
  EXPECT_THAT(NextQuestions(1, 32, 8, {{7, 1.1}, {8, 0.9}}), IsEmpty());
  EXPECT_THAT(NextQuestions(1, 32, 1, {}), ElementsAre(1));
  EXPECT_THAT(NextQuestions(1, 32, 1, {{1, 0.5}}), IsEmpty());
}

// Whatever the guess, and however the ratio falls: as 1 / number, as a cliff, or in stairs.
TEST(BisectionTest, FindsTheSmallestFitInFewQuestions) {
  for (int answer = 1; answer <= 32; ++answer) {
    for (int guess = 1; guess <= 32; ++guess) {
      const auto hyperbola = [&](int number) { return (answer - 0.5) / number; };
      const auto cliff = [&](int number) { return number < answer ? 1.0001 : 1.0; };
      const auto stairs = [&](int number) {
        return number < answer ? 2.0 : 1.0 / (number / 4 + 1);
      };
      const auto slow = Ask(1, 32, guess, cliff);
      EXPECT_EQ(SmallestFit(Ask(1, 32, guess, hyperbola)), answer);
      EXPECT_LE(Ask(1, 32, guess, hyperbola).size(), 6u) << answer << " from " << guess;
      EXPECT_EQ(SmallestFit(slow), answer);
      EXPECT_EQ(SmallestFit(Ask(1, 32, guess, stairs)), answer);
      EXPECT_LE(Ask(1, 32, guess, stairs).size(), 14u) << answer << " from " << guess;
    }
  }
}

TEST(BisectionTest, NothingFits) {
  const auto ratios = Ask(2, 16, 5, [](int number) { return 40.0 / number; });
  EXPECT_EQ(SmallestFit(ratios), 0);
  EXPECT_EQ(ratios.rbegin()->first, 16);
}

TEST(BisectionTest, FailedCasesAndContradictionsEnd) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(SmallestFit(Ask(1, 32, 3, [&](int n) { return n < 9 ? infinity : 0.5; })), 9);
  // 4 fits by luck, 6 does not: the change at 4 is taken.
  EXPECT_THAT(NextQuestions(1, 32, 4, {{3, 1.2}, {4, 0.99}, {6, 1.01}}), IsEmpty());
}

}  // namespace
}  // namespace autodist::tune
