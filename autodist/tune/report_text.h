// A tuning report as text, as one page, and as JSON.
#ifndef AUTODIST_TUNE_REPORT_TEXT_H_
#define AUTODIST_TUNE_REPORT_TEXT_H_

#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/report/page.h"
#include "autodist/report/table.h"
#include "autodist/tune/overlap_tuner.h"

namespace autodist::tune {

// "tp 4", "tp 2, forced by memory", "off", "not decided".
std::string VerdictText(const OverlapReport& report);

// Nothing to compare with: cases failed, or tp 2 is not measured yet.
bool Undecided(const OverlapReport& report);

// What to do with it, sentence by sentence; remarks and the model's notes among them.
std::vector<std::string> Recommendations(const OverlapReport& report);

// The tp sizes and the doubling rule; the sites of one size; the switches of one size; every case.
report::Table ScalingTable(const OverlapReport& report);
report::Table SiteTable(const OverlapReport& report, const TpFindings& size);
report::Table SwitchTable(const TpFindings& size);
report::Table CaseTable(const OverlapReport& report);

// The size whose settings are worth showing: the optimal one, or tp 2 where the answer is off.
// nullptr when no such size was measured.
const TpFindings* ShownSize(const OverlapReport& report);

std::string ToText(const OverlapReport& report);   // summary.txt, and what the program prints
report::Page ToPage(const OverlapReport& report);  // report.html
core::Json ToJson(const OverlapReport& report);    // tuning_report.json; docs/json.md has its shape

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_REPORT_TEXT_H_
