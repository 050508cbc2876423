#include "autodist/report/page.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace autodist::report {
namespace {

constexpr std::string_view kStyle = R"(
body { font-family: sans-serif; margin: 2em auto; max-width: 1360px; padding: 0 1em; color: #222; }
.charts { display: flex; flex-wrap: wrap; gap: 1em; }
svg { max-width: 100%; height: auto; background: #fff; border: 1px solid #ddd; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:last-child, td:last-child { text-align: left; white-space: normal; }
th { position: sticky; top: 0; background: #f4f4f4; }
)";

std::string RowHtml(const std::vector<std::string>& cells, std::string_view tag) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) html += fmt::format("<{0}>{1}</{0}>", tag, Escaped(cell));
  return html + "</tr>\n";
}

}  // namespace

Page::Page(const std::string& title) : title_(Escaped(title)) {}

void Page::AddHeading(const std::string& text) {
  body_ += fmt::format("<h2>{}</h2>\n", Escaped(text));
}

void Page::AddParagraph(const std::string& text) {
  body_ += fmt::format("<p>{}</p>\n", Escaped(text));
}

// Neighbouring charts share a row where the window is wide enough.
void Page::AddChart(const Chart& chart) {
  constexpr std::string_view kEnd = "</div>\n";
  if (body_.ends_with("</svg>\n</div>\n")) {
    body_.resize(body_.size() - kEnd.size());
  } else {
    body_ += "<div class=\"charts\">\n";
  }
  body_ += ToSvg(chart);
  body_ += kEnd;
}

void Page::AddTable(const Table& table) {
  body_ += "<div class=\"wide\"><table>\n<thead>" + RowHtml(table.header(), "th") + "</thead>\n";
  for (const auto& row : table.rows()) body_ += RowHtml(row, "td");
  body_ += "</table></div>\n";
}

void Page::AddTimeline(const Timeline& timeline) {
  has_timeline_ = true;
  body_ += ToFigure(timeline);
}

std::string Page::ToHtml() const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}{3}</style>\n</head>\n<body>\n<h1>{0}</h1>\n{2}{4}</body>\n</html>\n",
      title_, kStyle, body_, has_timeline_ ? TimelineStyle() : "",
      has_timeline_ ? fmt::format("<script>{}</script>\n", TimelineScript()) : "");
}

}  // namespace autodist::report
