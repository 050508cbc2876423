// Inverse frequencies of the rotary embedding: what turns a position into angles.
//
// Formulas and the order of their f32 roundings follow transformers' modeling_rope_utils: at
// position 1e5 a frequency that is off by one f32 step turns a head by 1e-2, so the roundings are
// part of the definition. With dim rotated elements and w_j = theta^(-2j/dim), j = 0 .. dim/2 - 1:
//
//   default  w_j
//   linear   w_j / factor
//   dynamic  theta'^(-2j/dim), theta' = theta * (factor * s / M - (factor - 1))^(dim / (dim - 2)),
//   s = max(length, M) yarn     w_j / factor where the ramp is 1, w_j where it is 0, and between
//   them a mixture; the ramp rises linearly in
//            j from lo to hi, the (fractional, with `truncate` whole) indices whose waves turn
//            beta_fast and beta_slow times within original_max_position
//   llama3   by wavelength 2 pi / w_j: w_j below original / high_freq_factor, w_j / factor above
//   original /
//            low_freq_factor, and between them a mixture
#ifndef AUTODIST_MODEL_ROPE_FREQUENCIES_H_
#define AUTODIST_MODEL_ROPE_FREQUENCIES_H_

#include <cstdint>
#include <vector>

#include "autodist/spec/model_config.h"

namespace autodist::model {

struct RopeFrequencies {
  std::vector<float> inverse;     // [dim / 2]; angle = position * inverse[j]
  float attention_factor = 1.0f;  // cos and sin are multiplied by it
};

// `sequence_length` matters to the dynamic kind only, whose M is config.original_max_position. The
// transformers library computes the frequencies once per forward call, from the largest position of
// the call plus one: all tokens of a prompt are turned by the frequencies of the whole prompt's
// length (a caller that feeds the prompt in chunks passes that length for every chunk), a generated
// token by those of its own position plus one, and keys that are cached stay as they were turned.
// Lengths up to M give the frequencies of M.
//
// REQUIRES: dim even and positive; the limits that arch/ checks.
RopeFrequencies ComputeRopeFrequencies(const spec::RopeConfig& config, int64_t sequence_length);

}  // namespace autodist::model

#endif  // AUTODIST_MODEL_ROPE_FREQUENCIES_H_
