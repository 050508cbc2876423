#include "autodist/tune/report_files.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/core/file.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/te_config.h"

namespace autodist::tune {
namespace {

constexpr const char* kConfigName = "optimal_tp_comm_overlap_cfg";
constexpr const char* kOptimalConfig = "optimal_tp_comm_overlap_cfg.yaml";
constexpr const char* kOptimalFlags = "megatron_flags.txt";

std::string Yaml(const OverlapReport& report, const TpFindings& size) {
  const TeConfig config = size.tp == 1 ? TeConfig() : ConfigOf(size);
  const TeVersion version = report.options.te_version;
  const std::string why =
      WhyInvalid(config, report.model, size.tp, report.options.max_token_len, version);
  if (!why.empty()) core::CheckFailed(__FILE__, __LINE__, why);
  return ToYaml(
      config, size.tp, version,
      fmt::format("Userbuffers of TransformerEngine {} for {} at tp {}, {} tokens{}",
                  ToText(version), report.model.name, size.tp, report.options.max_token_len,
                  config.empty() ? ": nothing is overlapped" : ""));
}

const MeasuredSetting* FastestAlone(const SiteFindings& site) {
  const MeasuredSetting* const sequential = site.sequential();
  const MeasuredSetting* const overlap = site.BestOverlap();
  if (overlap == nullptr || sequential == nullptr) return overlap ? overlap : sequential;
  return overlap->summary.mean.wall_s < (1 - kPreferSequential) * sequential->summary.mean.wall_s
             ? overlap
             : sequential;
}

core::Json SizeJson(const TpFindings& size) {
  core::Json sites = core::Json::object();
  for (const SiteFindings& site : size.sites) {
    const MeasuredSetting* const fastest = FastestAlone(site);
    if (fastest == nullptr) continue;
    sites[spec::KeyOf(site.context.site)] = {
        {"setting", spec::ToJson(fastest->overlap_case.setting)},
        {"wall_us", fastest->summary.mean.wall_s * 1e6}};
  }
  return sites;
}

std::string ConfigName(int tp) { return fmt::format("{}_tp{}.yaml", kConfigName, tp); }
std::string FlagsName(int tp) { return fmt::format("megatron_flags_tp{}.txt", tp); }

// The configurations and switches, by file name. Megatron may start anywhere: paths are absolute.
void AddAnswers(const OverlapReport& report, const std::filesystem::path& directory,
                std::map<std::string, std::string>& files) {
  const std::filesystem::path absolute = std::filesystem::absolute(directory);
  for (const TpFindings& size : report.outcome.sizes) {
    if (!size.excluded.empty()) continue;
    const std::string config = Yaml(report, size);
    if (size.tp == report.outcome.optimal_tp) {
      files[kOptimalConfig] = config;
      files[kOptimalFlags] =
          MegatronFlags(size.tp, size.flags.flags, (absolute / kOptimalConfig).string());
    }
    if (size.tp == 1) continue;
    files[ConfigName(size.tp)] = config;
    files[FlagsName(size.tp)] =
        MegatronFlags(size.tp, size.flags.flags, (absolute / ConfigName(size.tp)).string());
  }
}

std::vector<std::string> AnswerNames() {
  std::vector<std::string> names = {kOptimalConfig, kOptimalFlags};
  for (const int tp : {2, 4, 8}) names.insert(names.end(), {ConfigName(tp), FlagsName(tp)});
  return names;
}

}  // namespace

core::Json OverlapJson(const OverlapReport& report) {
  core::Json sizes = core::Json::object();
  for (const TpFindings& size : report.outcome.sizes)
    if (size.excluded.empty() && size.complete) sizes[std::to_string(size.tp)] = SizeJson(size);
  return {{"format", 1},
          {"model", report.model.name},
          {"tokens", report.options.max_token_len},
          {"machine", report.options.machine.name},
          {"tensor_parallel_size",
           report.outcome.undecided.empty() ? core::Json(report.outcome.optimal_tp) : core::Json()},
          {"sizes", sizes}};
}

void WriteReportFiles(const OverlapReport& report, const std::filesystem::path& directory) {
  std::map<std::string, std::string> files = {
      {"tuning_report.json", core::JsonText(ToJson(report))},
      {"summary.txt", ToText(report)},
      {"report.html", ToPage(report).ToHtml()},
      {"overlap.json", core::JsonText(OverlapJson(report))}};
  if (report.final() && report.outcome.undecided.empty()) AddAnswers(report, directory, files);
  for (const auto& [name, text] : files) core::WriteFileAtomically(directory / name, text);
  // An answer of an earlier report is not this one's.
  for (const std::string& name : AnswerNames())
    if (!files.contains(name)) std::filesystem::remove(directory / name);
}

}  // namespace autodist::tune
