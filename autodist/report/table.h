// A table of words: as aligned text for a terminal, and as CSV.
#ifndef AUTODIST_REPORT_TABLE_H_
#define AUTODIST_REPORT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace autodist::report {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}

  // REQUIRES as many cells as the header has.
  void Add(std::vector<std::string> cells);

  const std::vector<std::string>& header() const { return header_; }
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }

  // Columns two spaces apart, the first aligned to the left and the others to the right, no spaces
  // at the end of lines; each line ends with '\n'. Widths count bytes.
  std::string ToText() const;
  // RFC 4180 with '\n' at line ends: cells with a comma, quote or line break are quoted.
  std::string ToCsv() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace autodist::report

#endif  // AUTODIST_REPORT_TABLE_H_
