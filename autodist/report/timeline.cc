#include "autodist/report/timeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodist/report/chart.h"

namespace autodist::report {
namespace {

constexpr int kLaneHeight = 26;
constexpr int kBarHeight = 20;

}  // namespace

std::string ToFigure(const Timeline& timeline) {
  double length_us = 0;
  for (const TimelineLane& lane : timeline.lanes)
    for (const TimelineSpan& span : lane.spans) length_us = std::max(length_us, span.end_us);
  if (length_us == 0) length_us = 1;
  const int height = kLaneHeight * static_cast<int>(timeline.lanes.size());
  std::string html = fmt::format("<figure class=\"timeline\" data-length=\"{}\">\n<figcaption>{}",
                                 length_us, Escaped(timeline.title));
  for (const TimelineColour& entry : timeline.legend)
    html += fmt::format("<span class=\"key\"><i style=\"background:{}\"></i>{}</span>",
                        Escaped(entry.colour), Escaped(entry.name));
  html += "</figcaption>\n<div class=\"lanes\"><div class=\"names\">";
  for (const TimelineLane& lane : timeline.lanes)
    html += fmt::format("<div>{}</div>", Escaped(lane.name));
  // One unit is a microsecond: zooming changes the view box and nothing else.
  html += fmt::format(
      "</div>\n<div class=\"plot\"><svg style=\"height:{0}px\" viewBox=\"0 0 {1} {0}\" "
      "preserveAspectRatio=\"none\">\n",
      height, length_us);
  int top = (kLaneHeight - kBarHeight) / 2;
  for (const TimelineLane& lane : timeline.lanes) {
    for (const TimelineSpan& span : lane.spans)
      html += fmt::format(
          "<rect x=\"{:.3f}\" y=\"{}\" width=\"{:.3f}\" height=\"{}\" fill=\"{}\" stroke=\"{}\">"
          "<title>{}\n{:.3f} us, from {:.3f} us</title></rect>\n",
          span.start_us, top, span.end_us - span.start_us, kBarHeight, Escaped(span.colour),
          Escaped(span.colour), Escaped(span.label), span.end_us - span.start_us, span.start_us);
    top += kLaneHeight;
  }
  return html + fmt::format(
                    "</svg><div class=\"axis\"><span>0 us</span><span>{:.1f} us</span></div>"
                    "</div></div>\n</figure>\n",
                    length_us);
}

std::string_view TimelineStyle() {
  return R"(
.timeline { margin: 1.5em 0; }
.timeline figcaption { font-weight: bold; margin-bottom: .4em; }
.timeline .key { font-weight: normal; font-size: 13px; margin-left: 1em; white-space: nowrap; }
.timeline .key i { display: inline-block; width: .9em; height: .9em; margin-right: .3em; vertical-align: -1px; }
.timeline .lanes { display: flex; }
.timeline .names { flex: none; width: 190px; font-size: 13px; }
.timeline .names div { height: 26px; line-height: 26px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.timeline .plot { flex: auto; min-width: 0; }
.timeline svg { display: block; width: 100%; cursor: grab; touch-action: none; }
.timeline rect { stroke-width: .6; vector-effect: non-scaling-stroke; }
.timeline rect:hover { stroke: #000; stroke-width: 1.5; }
.timeline .axis { display: flex; justify-content: space-between; font-size: 12px; color: #555; }
)";
}

std::string_view TimelineScript() {
  return R"(
for (const figure of document.querySelectorAll('.timeline')) {
  const svg = figure.querySelector('svg');
  const [from, to] = figure.querySelectorAll('.axis span');
  const length = Number(figure.dataset.length);
  const height = svg.viewBox.baseVal.height;
  let begin = 0, width = length, grip = null;
  const show = () => {
    width = Math.min(length, Math.max(length / 1e5, width));
    begin = Math.min(length - width, Math.max(0, begin));
    svg.setAttribute('viewBox', `${begin} 0 ${width} ${height}`);
    const digits = width < 10 ? 3 : 1;
    from.textContent = begin.toFixed(digits) + ' us';
    to.textContent = (begin + width).toFixed(digits) + ' us';
  };
  svg.addEventListener('wheel', event => {
    event.preventDefault();
    const at = event.offsetX / svg.clientWidth;
    const time = begin + at * width;
    width *= Math.exp(event.deltaY / 400);
    width = Math.min(length, Math.max(length / 1e5, width));
    begin = time - at * width;
    show();
  }, {passive: false});
  svg.addEventListener('pointerdown', event => {
    grip = {x: event.clientX, begin};
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointermove', event => {
    if (grip === null) return;
    begin = grip.begin - (event.clientX - grip.x) / svg.clientWidth * width;
    show();
  });
  svg.addEventListener('pointerup', () => { grip = null; });
  svg.addEventListener('dblclick', () => { begin = 0; width = length; show(); });
}
)";
}

}  // namespace autodist::report
