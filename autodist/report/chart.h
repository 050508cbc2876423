// Line charts as SVG, to be placed in a page or opened alone.
#ifndef AUTODIST_REPORT_CHART_H_
#define AUTODIST_REPORT_CHART_H_

#include <string>
#include <vector>

namespace autodist::report {

struct ChartPoint {
  double x = 0;
  double y = 0;
};

struct Series {
  std::string name = {};                // in the legend
  std::vector<ChartPoint> points = {};  // in the order of x
};

// Points that are not finite are left out; on a logarithmic axis those not above 0 too.
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;  // to base 2, for doubling sizes; the y axis is linear and starts at 0
  std::vector<Series> series;
};

// An <svg> element: axes with round ticks, a line and marks per series, a legend; each mark tells
// its values when pointed at.
std::string ToSvg(const Chart& chart);

// With &, <, > and quotes replaced, for text and attributes of HTML and SVG.
std::string Escaped(const std::string& text);

// About `count` round values that cover [0, max]: multiples of 1, 2 or 5 times a power of ten.
// REQUIRES max > 0 and finite.
std::vector<double> RoundTicks(double max, int count);

}  // namespace autodist::report

#endif  // AUTODIST_REPORT_CHART_H_
