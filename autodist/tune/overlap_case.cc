#include "autodist/tune/overlap_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::tune {
namespace {

double TrimmedMean(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t cut = values.size() / 4;
  double sum = 0;
  for (size_t i = cut; i < values.size() - cut; ++i) sum += values[i];
  return sum / static_cast<double>(values.size() - 2 * cut);
}

double MeanOf(const std::vector<CaseSample>& samples, double CaseSample::*field) {
  std::vector<double> values;
  for (const CaseSample& sample : samples) values.push_back(sample.*field);
  return TrimmedMean(std::move(values));
}

std::string SettingId(const spec::OverlapSetting& setting) {
  switch (setting.method) {
    case spec::OverlapMethod::kRingExchange:
      return fmt::format("ring_agg{}", setting.aggregate ? 1 : 0);
    case spec::OverlapMethod::kPipeline:
      return fmt::format("pipeline_splits{}_sm{}", setting.num_splits, setting.num_sm);
    case spec::OverlapMethod::kBulk:
      return fmt::format("bulk_sm{}", setting.num_sm);
    case spec::OverlapMethod::kSequential:
      return "baseline";
    case spec::OverlapMethod::kExternal:
      return "external";
  }
  return "";
}

}  // namespace

std::string OverlapCase::Id() const {
  return fmt::format("tp{}_{}_{}{}", tp, spec::KeyOf(site), SettingId(setting),
                     attempt == 0 ? "" : "_again");
}

core::Json ToJson(const OverlapCase& overlap_case) {
  return {{"id", overlap_case.Id()},
          {"tp", overlap_case.tp},
          {"site", spec::KeyOf(overlap_case.site)},
          {"setting", spec::ToJson(overlap_case.setting)},
          {"attempt", overlap_case.attempt},
          {"repeats", overlap_case.repeats}};
}

OverlapCase ParseOverlapCase(const core::Json& json, std::string_view source) {
  const core::JsonFields fields(json, source);
  OverlapCase parsed;
  parsed.tp = static_cast<int>(fields.RequiredInt("tp", 1, 32));
  parsed.site = spec::ParseSite(fields.RequiredString("site"), source);
  const core::Json* const setting = fields.Find("setting");
  if (setting == nullptr) throw core::BadInput("{}: field setting is missing", source);
  parsed.setting = spec::ParseOverlapSetting(*setting, source);
  parsed.attempt = static_cast<int>(fields.RequiredInt("attempt", 0, 1));
  parsed.repeats = static_cast<int>(fields.RequiredInt("repeats", 1, 100000));
  if (fields.RequiredString("id") != parsed.Id())
    throw core::BadInput("{}: field id is {}, must be {}", source, fields.RequiredString("id"),
                         parsed.Id());
  return parsed;
}

CaseSummary Summarise(const std::vector<CaseSample>& samples) {
  AUTODIST_CHECK(!samples.empty());
  CaseSummary summary;
  summary.repeats = static_cast<int>(samples.size());
  summary.mean = {.wall_s = MeanOf(samples, &CaseSample::wall_s),
                  .gemm_s = MeanOf(samples, &CaseSample::gemm_s),
                  .comm_s = MeanOf(samples, &CaseSample::comm_s),
                  .exposed_s = MeanOf(samples, &CaseSample::exposed_s)};
  double squares = 0;
  for (const CaseSample& sample : samples) {
    const double difference = sample.wall_s - summary.mean.wall_s;
    squares += difference * difference;
  }
  const double count = static_cast<double>(samples.size());
  const double deviation = count > 1 ? std::sqrt(squares / (count - 1)) : 0.0;
  summary.wall_spread = deviation / summary.mean.wall_s;
  summary.wall_error_s = deviation / std::sqrt(count);
  return summary;
}

}  // namespace autodist::tune
