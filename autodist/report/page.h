// One self-contained HTML page: text, charts, tables and timelines; nothing from the network, and
// no script but for timelines.
#ifndef AUTODIST_REPORT_PAGE_H_
#define AUTODIST_REPORT_PAGE_H_

#include <string>

#include "autodist/report/chart.h"
#include "autodist/report/table.h"
#include "autodist/report/timeline.h"

namespace autodist::report {

// Parts appear in the order in which they are added. All text is escaped.
class Page {
 public:
  explicit Page(const std::string& title);

  void AddHeading(const std::string& text);
  void AddParagraph(const std::string& text);
  void AddChart(const Chart& chart);
  void AddTable(const Table& table);
  void AddTimeline(const Timeline& timeline);

  std::string ToHtml() const;

 private:
  std::string title_;
  std::string body_;
  bool has_timeline_ = false;
};

}  // namespace autodist::report

#endif  // AUTODIST_REPORT_PAGE_H_
