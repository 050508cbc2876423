// Lanes of coloured spans over time, for a page: what ran when, on which stream.
#ifndef AUTODIST_REPORT_TIMELINE_H_
#define AUTODIST_REPORT_TIMELINE_H_

#include <string>
#include <string_view>
#include <vector>

namespace autodist::report {

struct TimelineSpan {
  double start_us = 0;
  double end_us = 0;
  std::string colour = {};  // as CSS names it: "#1f77b4"
  std::string label = {};   // told when pointed at, with start and duration
};

// Later spans are drawn over earlier ones.
struct TimelineLane {
  std::string name = {};
  std::vector<TimelineSpan> spans = {};
};

struct TimelineColour {
  std::string name = {};
  std::string colour = {};
};

// Time runs from 0 to the last end.
struct Timeline {
  std::string title = {};
  std::vector<TimelineColour> legend = {};
  std::vector<TimelineLane> lanes = {};
};

// A <figure>: still a picture without script. With TimelineScript() in the page, the wheel zooms,
// dragging moves, a double click shows all again.
std::string ToFigure(const Timeline& timeline);
std::string_view TimelineScript();
std::string_view TimelineStyle();

}  // namespace autodist::report

#endif  // AUTODIST_REPORT_TIMELINE_H_
