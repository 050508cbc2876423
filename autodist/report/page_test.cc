#include "autodist/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace autodist::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PageTest, PartsInOrderAndEscaped) {
  Page page("a < b");
  page.AddHeading("Results & limits");
  page.AddParagraph("one");
  Table table({"x", "why"});
  table.Add({"1", "<none>"});
  page.AddTable(table);
  const std::string html = page.ToHtml();
  EXPECT_THAT(html, HasSubstr("<title>a &lt; b</title>"));
  EXPECT_THAT(html, HasSubstr("<h2>Results &amp; limits</h2>\n<p>one</p>\n"));
  EXPECT_THAT(html, HasSubstr("<tr><th>x</th><th>why</th></tr>"));
  EXPECT_THAT(html, HasSubstr("<tr><td>1</td><td>&lt;none&gt;</td></tr>"));
}

TEST(PageTest, NeighbouringChartsShareARow) {
  Page page("p");
  page.AddChart({});
  page.AddChart({});
  page.AddParagraph("between");
  page.AddChart({});
  const std::string html = page.ToHtml();
  size_t rows = 0;
  for (size_t at = html.find("class=\"charts\""); at != std::string::npos;
       at = html.find("class=\"charts\"", at + 1))
    ++rows;
  EXPECT_EQ(rows, 2u);
}

// A page that is opened years later, without a network, looks the same.
TEST(PageTest, NothingIsLoaded) {
  Page page("p");
  page.AddChart({});
  const std::string html = page.ToHtml();
  for (const char* const link : {"<script", "<link", "src=", "href=", "@import", "url("})
    EXPECT_THAT(html, Not(HasSubstr(link)));
}

}  // namespace
}  // namespace autodist::report
