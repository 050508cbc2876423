#include "autodist/tune/case_traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/trace/metrics.h"
#include "autodist/trace/trace.h"

namespace autodist::tune {
namespace {

trace::Pass TracePass(spec::LinearPass pass) {
  switch (pass) {
    case spec::LinearPass::kFprop:
      return trace::Pass::kForward;
    case spec::LinearPass::kDgrad:
      return trace::Pass::kDgrad;
    case spec::LinearPass::kWgrad:
      return trace::Pass::kWgrad;
  }
  return trace::Pass::kNone;
}

std::vector<std::filesystem::path> TraceFiles(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name != "result.json" && (name.ends_with(".json") || name.ends_with(".json.gz")))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

CaseSample SampleOf(const trace::OverlapMetrics& metrics) {
  return {.wall_s = static_cast<double>(metrics.wall_ns) * 1e-9,
          .gemm_s = static_cast<double>(metrics.gemm_ns) * 1e-9,
          .comm_s = static_cast<double>(metrics.comm_ns) * 1e-9,
          .exposed_s = static_cast<double>(metrics.exposed_ns()) * 1e-9};
}

// The executions of the site on one rank, in order.
std::vector<CaseSample> SamplesOf(const trace::Trace& trace, spec::OverlapSite site) {
  std::vector<CaseSample> samples;
  for (const trace::OperatorMetrics& op : trace::MeasureOperators(trace)) {
    if (op.op.name != spec::NameOf(site.op) || op.op.pass != TracePass(site.pass)) continue;
    for (const trace::WindowMetrics& window : op.windows)
      samples.push_back(SampleOf(window.metrics));
  }
  return samples;
}

CaseResult Merge(const OverlapCase& overlap_case, const std::vector<trace::Trace>& traces) {
  CaseResult result;
  for (const trace::Trace& trace : traces) {
    const std::vector<CaseSample> samples = SamplesOf(trace, overlap_case.site);
    const std::string what = spec::KeyOf(overlap_case.site);
    if (samples.empty()) {
      result.error = fmt::format("{}: nothing ran in a range called {}", trace.file, what);
    } else if (!result.samples.empty() && samples.size() != result.samples.size()) {
      result.error = fmt::format("{}: {} ran {} times, on another rank {} times", trace.file, what,
                                 samples.size(), result.samples.size());
    }
    if (result.failed()) break;
    if (result.samples.empty()) result.samples = samples;
    for (size_t i = 0; i < samples.size(); ++i)
      if (samples[i].wall_s > result.samples[i].wall_s) result.samples[i] = samples[i];
  }
  if (result.failed()) result.samples.clear();
  return result;
}

}  // namespace

CaseResult ReadCaseTraces(const OverlapCase& overlap_case, const std::filesystem::path& directory) {
  const std::vector<std::filesystem::path> files = TraceFiles(directory);
  CaseResult result;
  if (files.size() != static_cast<size_t>(overlap_case.tp)) {
    result.error = fmt::format("{}: traces of {} ranks, must be {}", directory.string(),
                               files.size(), overlap_case.tp);
    return result;
  }
  try {
    return Merge(overlap_case, trace::ReadTraces(files, trace::Classifier()));
  } catch (const core::Error& error) {
    result.error = error.what();
    return result;
  }
}

}  // namespace autodist::tune
