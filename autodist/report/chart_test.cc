#include "autodist/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

namespace autodist::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(RoundTicksTest, CoverTheRangeInRoundSteps) {
  EXPECT_THAT(RoundTicks(10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(RoundTicks(11, 5), ElementsAre(0, 5, 10, 15));
  EXPECT_THAT(RoundTicks(0.3, 3), ElementsAre(0, ::testing::DoubleEq(0.1), ::testing::DoubleEq(0.2),
                                              ::testing::DoubleNear(0.3, 1e-12)));
  EXPECT_THAT(RoundTicks(1, 1), ElementsAre(0, 1));
}

// Doubling sizes are equally far apart on a logarithmic axis: 64 + 560 / 2 is the middle.
TEST(ChartTest, PointsAreWhereTheirValuesSay) {
  const Chart chart{.title = "t",
                    .x_label = "x",
                    .y_label = "y",
                    .log_x = true,
                    .series = {{.name = "a", .points = {{1, 0}, {2, 5}, {4, 10}}}}};
  const std::string svg = ToSvg(chart);
  EXPECT_THAT(svg, HasSubstr("d=\"M64.0 276.0 L344.0 156.0 L624.0 36.0\""));
  EXPECT_THAT(svg, HasSubstr("<title>a: 5 at 2</title>"));
  EXPECT_EQ(Count(svg, "<circle"), 3u);
}

TEST(ChartTest, WhatCannotBeDrawnIsLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Chart chart{.title = "",
                    .x_label = "",
                    .y_label = "",
                    .log_x = true,
                    .series = {{.name = "a", .points = {{0, 1}, {1, nan}, {2, 3}}},
                               {.name = "none", .points = {}}}};
  const std::string svg = ToSvg(chart);
  EXPECT_EQ(Count(svg, "<circle"), 1u);
  EXPECT_EQ(Count(svg, "<path"), 1u);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

// Colours come round again, with other dashes.
TEST(ChartTest, NoTwoOfManyLinesLookAlike) {
  Chart chart;
  for (int i = 0; i < 32; ++i)
    chart.series.push_back({.name = "s", .points = {{1, static_cast<double>(i)}}});
  const std::string svg = ToSvg(chart);
  std::set<std::string> looks;
  for (size_t at = svg.find("<path"); at != std::string::npos; at = svg.find("<path", at + 1)) {
    const size_t stroke = svg.find(" stroke=", at);
    looks.insert(svg.substr(stroke, svg.find("/>", at) - stroke));
  }
  EXPECT_EQ(looks.size(), 32u);
}

TEST(ChartTest, NamesAreEscaped) {
  const std::string svg = ToSvg({.title = "<b> & \"c\"",
                                 .x_label = "",
                                 .y_label = "",
                                 .log_x = false,
                                 .series = {{.name = "x<y", .points = {{1, 1}}}}});
  EXPECT_THAT(svg, HasSubstr("&lt;b&gt; &amp; &quot;c&quot;"));
  EXPECT_THAT(svg, HasSubstr("x&lt;y"));
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
}

TEST(ChartTest, AChartWithoutPointsStillHasAxes) {
  const std::string svg = ToSvg({});
  EXPECT_EQ(Count(svg, "<svg"), 1u);
  EXPECT_EQ(Count(svg, "</svg>"), 1u);
}

}  // namespace
}  // namespace autodist::report
