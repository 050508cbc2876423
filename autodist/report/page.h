// One self-contained HTML page: text, charts and tables, no script and nothing from the network.
#ifndef AUTODIST_REPORT_PAGE_H_
#define AUTODIST_REPORT_PAGE_H_

#include <string>

#include "autodist/report/chart.h"
#include "autodist/report/table.h"

namespace autodist::report {

// Parts appear in the order in which they are added. All text is escaped.
class Page {
 public:
  explicit Page(const std::string& title);

  void AddHeading(const std::string& text);
  void AddParagraph(const std::string& text);
  void AddChart(const Chart& chart);
  void AddTable(const Table& table);

  std::string ToHtml() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace autodist::report

#endif  // AUTODIST_REPORT_PAGE_H_
