// The definition of a sampled token, written down once more over the whole row, as slowly and
// plainly as possible.
#ifndef AUTODIST_INFER_TESTING_REFERENCE_SAMPLER_H_
#define AUTODIST_INFER_TESTING_REFERENCE_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "autodist/infer/sampler.h"

namespace autodist::infer::testing {

// The ids that survive every filter, in canonical order, and their probabilities: what
// transformers' logits processors leave, in double precision.
struct Survivors {
  std::vector<int32_t> ids;
  std::vector<double> probabilities;  // sum to 1
};
// REQUIRES a temperature above 0.
Survivors ReferenceSurvivors(std::vector<float> logits, const SampleRow& row);

// The token itself, greedy or drawn.
int32_t ReferenceToken(const std::vector<float>& logits, const SampleRow& row);

}  // namespace autodist::infer::testing

#endif  // AUTODIST_INFER_TESTING_REFERENCE_SAMPLER_H_
