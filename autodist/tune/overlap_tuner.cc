#include "autodist/tune/overlap_tuner.h"

#include <fmt/chrono.h>

#include <ctime>
#include <utility>

#include "autodist/arch/known_models.h"

namespace autodist::tune {

OverlapReport TuneOverlap(const spec::OverlapModel& model, const OverlapOptions& options,
                          OverlapBackend& backend) {
  Validate(options, model);
  OverlapReport report{.model = model, .options = options};
  CaseResults results;
  while (true) {
    report.outcome = SearchOverlap(model, options, results);
    if (report.final()) break;
    ++report.rounds;
    const size_t before = results.size();
    results.merge(backend.Measure(report.outcome.wanted));
    if (results.size() == before) break;  // all that is wanted is pending
  }
  report.measurements = static_cast<int64_t>(results.size());
  report.source = backend.Description();
  report.timestamp = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return report;
}

OverlapReport TuneOverlap(const spec::ModelConfig& config, std::string name,
                          const OverlapOptions& options, OverlapBackend& backend) {
  return TuneOverlap(arch::OverlapModelOf(config, std::move(name)), options, backend);
}

}  // namespace autodist::tune
