#include "autodist/tune/external_backend.h"

#include <algorithm>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/tune/launcher_process.h"

namespace autodist::tune {
namespace {

constexpr int kHopeless = 3;  // failed cases in a row, none done before: the launcher is at fault

bool SameOperator(const OverlapCase& a, const OverlapCase& b) {
  return a.tp == b.tp && a.site.op == b.site.op && a.setting == b.setting && a.attempt == b.attempt;
}

// Without overlap one run serves all passes of an operator: those behind the first of each.
std::vector<OverlapCase> WithoutShared(const std::vector<OverlapCase>& cases) {
  std::vector<OverlapCase> needed;
  for (const OverlapCase& overlap_case : cases) {
    const bool served = overlap_case.setting.method == spec::OverlapMethod::kSequential &&
                        std::any_of(needed.begin(), needed.end(), [&](const OverlapCase& other) {
                          return SameOperator(other, overlap_case);
                        });
    if (!served) needed.push_back(overlap_case);
  }
  return needed;
}

}  // namespace

ExternalBackend::ExternalBackend(CaseStore store, Options options)
    : store_(std::move(store)), options_(std::move(options)) {}

std::string ExternalBackend::Description() const {
  return "measured from profiler traces, the slowest rank of each repeat";
}

CaseResults ExternalBackend::Measure(const std::vector<OverlapCase>& cases) {
  if (options_.mode != Mode::kRead) store_.Add(cases);
  CaseResults results;
  std::vector<OverlapCase> missing;
  for (const OverlapCase& overlap_case : cases) {
    if (auto result = store_.Read(overlap_case))
      results[overlap_case.Id()] = std::move(*result);
    else
      missing.push_back(overlap_case);
  }
  if (options_.mode == Mode::kEmit && !missing.empty())
    script_ = store_.WriteScript(WithoutShared(missing), options_.launcher, options_.case_timeout_s)
                  .string();
  if (options_.mode == Mode::kRun) RunAll(missing, results);
  return results;
}

void ExternalBackend::RunAll(const std::vector<OverlapCase>& cases, CaseResults& results) {
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string id = cases[i].Id();
    auto result = store_.Read(cases[i]);  // done by the run of another case?
    if (!result) {
      if (options_.on_case) options_.on_case(id, cases.size() - i, cases.size());
      Run(cases[i]);
      result = store_.Read(cases[i]);
    }
    if (!result) continue;
    failures_ = result->failed() ? failures_ + 1 : 0;
    any_done_ |= !result->failed();
    results[id] = std::move(*result);
    if (!any_done_ && failures_ >= kHopeless)
      throw core::RuntimeFailure(
          "the first {} cases failed, so the rest was not tried; {}: {} (--retry-failed tries them "
          "again)",
          failures_, id, results[id].error);
  }
}

void ExternalBackend::Run(const OverlapCase& overlap_case) const {
  const std::filesystem::path run = store_.BeginRun(overlap_case);
  const std::filesystem::path log = run / "log.txt";
  LaunchEnd end = RunLauncher(store_.Command(overlap_case, options_.launcher, run), log,
                              options_.case_timeout_s);
  if (!end.started) {
    const std::string line = core::ReadFirstLine(log);
    std::filesystem::remove_all(run);
    throw core::BadInput("--launcher {}: cannot be started: {}", options_.launcher, line);
  }
  if (end.why.empty() && !std::filesystem::exists(run / "result.json"))
    end.why = "the launcher wrote no result.json";
  store_.EndRun(overlap_case, run, end.why);
}

}  // namespace autodist::tune
