#include "autodist/tune/report_diff.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/spec/overlap.h"

namespace autodist::tune {
namespace {

using core::Json;

constexpr uint64_t kMaxReportBytes = uint64_t{256} << 20;

// The part of a report that is compared.
struct Summary {
  std::string verdict;
  std::string model;
  int64_t tokens = 0;
  std::string source;
  std::map<int, double> layers;
  std::map<std::pair<int, std::string>, std::pair<std::string, double>> sites;
};

const Json& Member(const Json& json, const char* name, const std::string& source, bool array) {
  const core::JsonFields fields(json, source);
  const Json* const member = fields.Find(name);
  if (member == nullptr || (array ? !member->is_array() : !member->is_object()))
    throw core::BadInput("{}: field {} must be {}: this is no tuning_report.json", source, name,
                         array ? "a list" : "an object");
  return *member;
}

void ReadOperator(const std::string& op, const Json& sizes, const std::string& source,
                  Summary& summary) {
  for (const auto& [tp_text, size] : sizes.items()) {
    const int tp = std::atoi(tp_text.c_str());
    for (const spec::LinearPass pass : spec::kLinearPasses) {
      const core::JsonFields fields(size, source);
      const Json* const best = fields.Find(fmt::format("best_{}", spec::NameOf(pass)));
      if (best == nullptr) continue;
      const core::JsonFields site(*best, source);
      const Json* const setting = site.Find("setting");
      summary.sites[{tp, fmt::format("{}_{}", op, spec::NameOf(pass))}] = {
          setting == nullptr ? "-" : spec::Describe(spec::ParseOverlapSetting(*setting, source)),
          site.Number("wall_us").value_or(0)};
    }
  }
}

Summary ReadSummary(const std::filesystem::path& path) {
  const std::string source = path.string();
  const Json json = core::ParseJsonFile(path, kMaxReportBytes);
  Summary summary;
  const Json& config = Member(json, "tuner_config", source, false);
  summary.model = core::JsonFields(config, source).RequiredString("model_name");
  summary.tokens = core::JsonFields(config, source).RequiredInt("max_token_len", 1, 1 << 30);
  summary.source = core::JsonFields(json, source).RequiredString("source");
  const Json& scaling = Member(json, "tp_scaling", source, false);
  summary.verdict = core::JsonFields(scaling, source).RequiredString("verdict");
  for (const Json& row : Member(scaling, "table", source, true)) {
    const core::JsonFields fields(row, source);
    if (const auto layer = fields.Number("layer_us"))
      summary.layers[static_cast<int>(fields.RequiredInt("tp_size", 1, 32))] = *layer;
  }
  for (const auto& [op, sizes] : Member(json, "operator_summaries", source, false).items())
    ReadOperator(op, sizes, source, summary);
  return summary;
}

std::string Change(double a_us, double b_us) {
  if (a_us <= 0) return "-";
  // Rounded first: no "-0.0".
  const double percent = std::round(1000 * (b_us / a_us - 1)) / 10;
  return fmt::format("{:+.1f} %", percent + 0.0);
}

void AddRow(const SiteDifference& row, report::Table& table) {
  table.Add(
      {std::to_string(row.tp), row.site, fmt::format("{:.1f}", row.wall_a_us),
       fmt::format("{:.1f}", row.wall_b_us), Change(row.wall_a_us, row.wall_b_us),
       row.setting_a == row.setting_b ? row.setting_a : row.setting_a + " -> " + row.setting_b});
}

}  // namespace

ReportDifference DiffReports(const std::filesystem::path& a, const std::filesystem::path& b) {
  const Summary first = ReadSummary(a), second = ReadSummary(b);
  ReportDifference difference;
  difference.verdict_a = first.verdict;
  difference.verdict_b = second.verdict;
  if (first.model != second.model)
    difference.remarks.push_back(
        fmt::format("different models: {} and {}", first.model, second.model));
  if (first.tokens != second.tokens)
    difference.remarks.push_back(
        fmt::format("different token counts: {} and {}", first.tokens, second.tokens));
  if (first.source != second.source)
    difference.remarks.push_back(
        fmt::format("different sources: {} and {}", first.source, second.source));
  for (const auto& [tp, layer_us] : first.layers)
    if (const auto other = second.layers.find(tp); other != second.layers.end())
      difference.layers.push_back({tp, "layer", "-", "-", layer_us, other->second});
  for (const auto& [key, site] : first.sites)
    if (const auto other = second.sites.find(key); other != second.sites.end())
      difference.sites.push_back({key.first, key.second, site.first, other->second.first,
                                  site.second, other->second.second});
  return difference;
}

std::string ToText(const ReportDifference& difference) {
  report::Table table({"tp", "site", "A us", "B us", "change", "setting"});
  for (const SiteDifference& row : difference.layers) AddRow(row, table);
  for (const SiteDifference& row : difference.sites) AddRow(row, table);
  std::string text =
      fmt::format("answer   {} -> {}\n\n", difference.verdict_a, difference.verdict_b);
  text += table.ToText();
  for (const std::string& remark : difference.remarks) text += fmt::format("- {}\n", remark);
  return text;
}

Json ToJson(const ReportDifference& difference) {
  const auto rows = [](const std::vector<SiteDifference>& list) {
    Json json = Json::array();
    for (const SiteDifference& row : list)
      json.push_back({{"tp_size", row.tp},
                      {"site", row.site},
                      {"setting_a", row.setting_a},
                      {"setting_b", row.setting_b},
                      {"wall_a_us", row.wall_a_us},
                      {"wall_b_us", row.wall_b_us}});
    return json;
  };
  return {{"verdict_a", difference.verdict_a},
          {"verdict_b", difference.verdict_b},
          {"layers", rows(difference.layers)},
          {"sites", rows(difference.sites)},
          {"remarks", difference.remarks}};
}

}  // namespace autodist::tune
