// The overlap tuner: a model's dimensions in, a report out.
#ifndef AUTODIST_TUNE_OVERLAP_TUNER_H_
#define AUTODIST_TUNE_OVERLAP_TUNER_H_

#include <cstdint>
#include <string>

#include "autodist/spec/model_config.h"
#include "autodist/tune/overlap_backend.h"
#include "autodist/tune/overlap_options.h"
#include "autodist/tune/overlap_search.h"

namespace autodist::tune {

struct OverlapReport {
  spec::OverlapModel model;
  OverlapOptions options;
  std::string source = {};     // the backend's description
  std::string timestamp = {};  // UTC, when the report was made: "2026-01-31T12:00:00Z"
  OverlapOutcome outcome = {};
  int rounds = 0;            // of this call
  int64_t measurements = 0;  // cases that the outcome rests on

  // False: the backend left cases of outcome.wanted pending; all else is what is known so far.
  bool final() const { return outcome.wanted.empty(); }
};

// Runs rounds until nothing is wanted, or the backend leaves all that is wanted pending. Throws
// core::Error (bad input) for options out of range, and what the backend throws.
OverlapReport TuneOverlap(const spec::OverlapModel& model, const OverlapOptions& options,
                          OverlapBackend& backend);

// For a dense model as arch::ParseConfig reads it.
OverlapReport TuneOverlap(const spec::ModelConfig& config, std::string name,
                          const OverlapOptions& options, OverlapBackend& backend);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_OVERLAP_TUNER_H_
