#include "autodist/infer/sampling_options.h"

#include "autodist/core/error.h"

namespace autodist::infer {

// Every condition is written so that NaN fails it.
void Validate(const SamplingOptions& options) {
  const double temperature = options.temperature;
  if (!(temperature == 0.0 || (temperature >= kMinTemperature && temperature <= kMaxTemperature))) {
    throw core::BadInput("--temperature is {}, must be 0 (greedy) or in [{}, {}]", temperature,
                         kMinTemperature, kMaxTemperature);
  }
  if (options.top_k < -1 || options.top_k > kMaxTopK) {
    throw core::BadInput("--top-k is {}, must be in [1, {}], or 0 or -1 for all tokens",
                         options.top_k, kMaxTopK);
  }
  if (!(options.top_p > 0.0 && options.top_p <= 1.0)) {
    throw core::BadInput("--top-p is {}, must be above 0 and at most 1", options.top_p);
  }
  if (!(options.min_p >= 0.0 && options.min_p <= 1.0)) {
    throw core::BadInput("--min-p is {}, must be in [0, 1]", options.min_p);
  }
  const double penalty = options.repetition_penalty;
  if (!(penalty >= kMinRepetitionPenalty && penalty <= kMaxRepetitionPenalty)) {
    throw core::BadInput("--repetition-penalty is {}, must be in [{}, {}]", penalty,
                         kMinRepetitionPenalty, kMaxRepetitionPenalty);
  }
}

}  // namespace autodist::infer
