#include "autodist/tune/report_files.h"

#include <fmt/format.h>

#include <string>

#include "autodist/core/check.h"
#include "autodist/core/file.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/te_config.h"

namespace autodist::tune {
namespace {

constexpr const char* kConfigName = "optimal_tp_comm_overlap_cfg";
constexpr double kPreferSequential = 0.99;  // overlap must save one percent

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
  return overlap->summary.mean.wall_s < kPreferSequential * sequential->summary.mean.wall_s
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

}  // namespace

core::Json OverlapJson(const OverlapReport& report) {
  core::Json sizes = core::Json::object();
  for (const TpFindings& size : report.outcome.sizes)
    if (size.excluded.empty() && size.complete) sizes[std::to_string(size.tp)] = SizeJson(size);
  return {{"format", 1},
          {"model", report.model.name},
          {"tokens", report.options.max_token_len},
          {"machine", report.options.machine.name},
          {"tensor_parallel_size", report.outcome.optimal_tp},
          {"sizes", sizes}};
}

void WriteReportFiles(const OverlapReport& report, const std::filesystem::path& directory) {
  const auto write = [&](const std::string& name, const std::string& text) {
    core::WriteFileAtomically(directory / name, text);
  };
  write("tuning_report.json", core::DumpJson(ToJson(report), 2) + "\n");
  write("summary.txt", ToText(report));
  write("report.html", ToPage(report).ToHtml());
  write("overlap.json", core::DumpJson(OverlapJson(report), 2) + "\n");
  if (!report.final()) return;
  for (const TpFindings& size : report.outcome.sizes) {
    if (!size.excluded.empty()) continue;
    if (size.tp == report.outcome.optimal_tp) {
      const std::string name = fmt::format("{}.yaml", kConfigName);
      write(name, Yaml(report, size));
      write("megatron_flags.txt", MegatronFlags(size, name));
    }
    if (size.tp == 1) continue;
    const std::string name = fmt::format("{}_tp{}.yaml", kConfigName, size.tp);
    write(name, Yaml(report, size));
    write(fmt::format("megatron_flags_tp{}.txt", size.tp), MegatronFlags(size, name));
  }
}

}  // namespace autodist::tune
