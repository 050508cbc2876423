// How the next token is chosen from the logits: the sampling flags as data.
#ifndef AUTODIST_INFER_SAMPLING_OPTIONS_H_
#define AUTODIST_INFER_SAMPLING_OPTIONS_H_

#include <cstdint>

namespace autodist::infer {

// Applied in this order (the order of HuggingFace transformers): repetition penalty, ids excluded
// by the minimum length, temperature, top-k, top-p, min-p; then one token is drawn. The default is
// greedy.
struct SamplingOptions {
  // 0: greedy, the largest logit wins and top_k, top_p, min_p and seed have no effect (the largest
  // logit passes each of them). Otherwise logits are divided by it, in [kMinTemperature,
  // kMaxTemperature].
  double temperature = 0.0;

  // Keeps this many of the largest logits, ties by smallest id. 0 or -1: all; else in [1,
  // kMaxTopK].
  int64_t top_k = 0;

  // Keeps the smallest set of most probable tokens whose probabilities (after top_k, renormalised)
  // sum to at least this, one token at least. In (0, 1]; 1: all.
  double top_p = 1.0;

  // Keeps tokens at least this fraction as probable as the most probable one. In [0, 1]; 0: all.
  double min_p = 0.0;

  // Logits of ids that the prompt or the output holds are divided by it when positive, else
  // multiplied. 1: off; else in [kMinRepetitionPenalty, kMaxRepetitionPenalty].
  double repetition_penalty = 1.0;

  // Any value. The same seed, prompt index and position draw the same token on any number of ranks.
  uint64_t seed = 1234;

  bool greedy() const { return temperature == 0.0; }
  bool keeps_all() const { return top_k <= 0 && top_p >= 1.0 && min_p <= 0.0; }
};

// Below it the scaled logits of a real model leave the range in which random noise still matters.
inline constexpr double kMinTemperature = 1e-6;
inline constexpr double kMaxTemperature = 100.0;
inline constexpr int64_t kMaxTopK = INT32_MAX;
inline constexpr double kMinRepetitionPenalty = 0.01;
inline constexpr double kMaxRepetitionPenalty = 100.0;

// Throws core::Error (bad input) naming the flag, its value and the limit when a field is out of
// range or NaN.
void Validate(const SamplingOptions& options);

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_SAMPLING_OPTIONS_H_
