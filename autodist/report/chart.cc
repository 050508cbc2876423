#include "autodist/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "autodist/core/check.h"

namespace autodist::report {
namespace {

// In SVG units; the plot's area lies within the margins, the legend below it.
constexpr double kWidth = 640, kPlotHeight = 240;
constexpr double kLeft = 64, kRight = 16, kTop = 36, kBottom = 48;
constexpr double kLegendLine = 18;
constexpr double kLegendColumns = 2;
constexpr double kLegendSample = 24;

// Okabe and Ito's colours, which readers with any kind of colour vision tell apart.
constexpr const char* kColors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                   "#e69f00", "#56b4e9", "#000000", "#999999"};
// Of lines that share a colour.
constexpr const char* kDashes[] = {"none", "8 4", "2 3", "8 3 2 3"};

struct LineStyle {
  explicit LineStyle(size_t series)
      : color(kColors[series % std::size(kColors)]),
        dashes(kDashes[series / std::size(kColors) % std::size(kDashes)]) {}
  const char* color;
  const char* dashes;
};

std::string NumberText(double value) { return fmt::format("{:.6g}", value); }

bool Drawable(const Chart& chart, const ChartPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!chart.log_x || point.x > 0);
}

// Maps values to the plot's area.
class Axes {
 public:
  explicit Axes(const Chart& chart) : chart_(chart) {
    double max_y = 0;
    for (const Series& series : chart.series) {
      for (const ChartPoint& point : series.points) {
        if (!Drawable(chart, point)) continue;
        xs_.insert(point.x);
        max_y = std::max(max_y, point.y);
      }
    }
    y_ticks_ = RoundTicks(max_y > 0 ? max_y : 1, 5);
    if (xs_.empty()) return;
    first_x_ = Scaled(*xs_.begin());
    last_x_ = Scaled(*xs_.rbegin());
  }

  double X(double x) const {
    const double width = kWidth - kLeft - kRight;
    if (last_x_ == first_x_) return kLeft + width / 2;
    return kLeft + width * (Scaled(x) - first_x_) / (last_x_ - first_x_);
  }
  double Y(double y) const { return kTop + kPlotHeight * (1 - y / y_ticks_.back()); }

  const std::set<double>& xs() const { return xs_; }  // of all points: the ticks of that axis
  const std::vector<double>& y_ticks() const { return y_ticks_; }

 private:
  double Scaled(double x) const { return chart_.log_x ? std::log2(x) : x; }

  const Chart& chart_;
  std::set<double> xs_;
  std::vector<double> y_ticks_;
  double first_x_ = 0, last_x_ = 0;
};

std::string AxesSvg(const Chart& chart, const Axes& axes) {
  std::string svg;
  for (const double y : axes.y_ticks()) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, kWidth - kRight, axes.Y(y), kLeft - 6, axes.Y(y) + 4, NumberText(y));
  }
  for (const double x : axes.xs()) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", axes.X(x),
                       kTop + kPlotHeight + 18, NumberText(x));
  }
  svg += fmt::format(
      "<line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>\n"
      "<text class=\"title\" x=\"{0}\" y=\"20\">{3}</text>\n"
      "<text x=\"{4}\" y=\"{5}\" text-anchor=\"middle\">{6}</text>\n"
      "<text x=\"14\" y=\"{7}\" text-anchor=\"middle\" transform=\"rotate(-90 14 "
      "{7})\">{8}</text>\n",
      kLeft, kWidth - kRight, kTop + kPlotHeight, Escaped(chart.title),
      (kLeft + kWidth - kRight) / 2, kTop + kPlotHeight + 38, Escaped(chart.x_label),
      kTop + kPlotHeight / 2, Escaped(chart.y_label));
  return svg;
}

std::string SeriesSvg(const Chart& chart, const Series& series, const Axes& axes,
                      const LineStyle& style) {
  std::string path, marks;
  for (const ChartPoint& point : series.points) {
    if (!Drawable(chart, point)) continue;
    const double x = axes.X(point.x), y = axes.Y(point.y);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x, y);
    marks += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"><title>{}: {} at {}</title>"
        "</circle>\n",
        x, y, style.color, Escaped(series.name), NumberText(point.y), NumberText(point.x));
  }
  if (path.empty()) return "";
  return fmt::format(
             "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" "
             "stroke-dasharray=\"{}\"/>\n",
             path, style.color, style.dashes) +
         marks;
}

std::string LegendSvg(size_t index, const Series& series, const LineStyle& style) {
  const double column = static_cast<double>(index % static_cast<size_t>(kLegendColumns));
  const double line = static_cast<double>(index / static_cast<size_t>(kLegendColumns));
  const double x = kLeft + column * (kWidth - kLeft) / kLegendColumns;
  const double y = kTop + kPlotHeight + kBottom + line * kLegendLine + 8;
  return fmt::format(
      "<line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{}\" stroke-width=\"3\" "
      "stroke-dasharray=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
      x, x + kLegendSample, y - 4, y - 4, style.color, style.dashes, x + kLegendSample + 6, y,
      Escaped(series.name));
}

}  // namespace

std::vector<double> RoundTicks(double max, int count) {
  AUTODIST_CHECK(max > 0 && std::isfinite(max) && count >= 1);
  const double rough = max / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * (1 - 1e-9)) step = factor * power;
  std::vector<double> ticks = {0};
  for (int i = 1; ticks.back() < max * (1 - 1e-9); ++i) ticks.push_back(i * step);
  return ticks;
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += letter;
    }
  }
  return escaped;
}

std::string ToSvg(const Chart& chart) {
  const Axes axes(chart);
  const double lines = std::ceil(static_cast<double>(chart.series.size()) / kLegendColumns);
  const double height = kTop + kPlotHeight + kBottom + lines * kLegendLine;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" role=\"img\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<style>.grid{{stroke:#ddd}}"
      ".axis{{stroke:#333}}.title{{font-size:15px;font-weight:600}}</style>\n",
      kWidth, height, kWidth);
  svg += AxesSvg(chart, axes);
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const LineStyle style(i);
    svg += SeriesSvg(chart, chart.series[i], axes, style);
    svg += LegendSvg(i, chart.series[i], style);
  }
  return svg + "</svg>\n";
}

}  // namespace autodist::report
