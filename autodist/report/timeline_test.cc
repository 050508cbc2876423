#include "autodist/report/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/report/page.h"

namespace autodist::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Timeline Example() {
  return {
      .title = "fc1 <fprop>",
      .legend = {{"gemm", "#111"}},
      .lanes = {{"stream 7", {{0, 12.5, "#111", "a < b"}}}, {"stream 20", {{2, 25, "#222", "c"}}}}};
}

TEST(TimelineTest, ARectanglePerSpanInMicroseconds) {
  const std::string html = ToFigure(Example());
  EXPECT_THAT(html, HasSubstr("data-length=\"25\""));
  EXPECT_THAT(html, HasSubstr("style=\"height:52px\" viewBox=\"0 0 25 52\""));
  EXPECT_THAT(html, HasSubstr("<rect x=\"2.000\" y=\"29\" width=\"23.000\""));
  EXPECT_THAT(html, HasSubstr("fc1 &lt;fprop&gt;"));
  EXPECT_THAT(html, HasSubstr("a &lt; b\n12.500 us, from 0.000 us"));
}

TEST(TimelineTest, ThePageHasTheScriptOnceAndOnlyThen) {
  Page page("x");
  EXPECT_THAT(page.ToHtml(), Not(HasSubstr("<script>")));
  page.AddTimeline(Example());
  page.AddTimeline(Example());
  const std::string html = page.ToHtml();
  const size_t first = html.find("<script>");
  ASSERT_NE(first, html.npos);
  EXPECT_EQ(html.find("<script>", first + 1), html.npos);
  EXPECT_THAT(html, Not(HasSubstr("http")));  // self-contained
}

TEST(TimelineTest, NothingToShow) {
  EXPECT_THAT(ToFigure({.title = "empty"}), HasSubstr("viewBox=\"0 0 1 0\""));
}

}  // namespace
}  // namespace autodist::report
