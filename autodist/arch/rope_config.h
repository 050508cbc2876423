// The rope part of config.json, in both spellings. For arch/ only.
#ifndef AUTODIST_ARCH_ROPE_CONFIG_H_
#define AUTODIST_ARCH_ROPE_CONFIG_H_

#include "autodist/arch/family.h"
#include "autodist/core/json.h"

namespace autodist::arch {

// Fills parsed.config.rope and context_length. REQUIRES: head_dim and max_position_embeddings are
// set.
//
// transformers 5 writes one object `rope_parameters`; before, the fields stood at the top
// (`rope_theta`) and in `rope_scaling` (null or an object, with `rope_type` or the older `type`).
// As transformers does: a non-empty rope_scaling wins over rope_parameters; a field inside the
// object wins over the one at the top, except original_max_position_embeddings, where the top wins;
// that one is max_position_embeddings when given nowhere.
//
// Throws core::Error (bad input), by name, for a type that is not computed here (longrope,
// proportional, mrope, ...), parameters per layer type, and partially rotated heads.
void ReadRope(const core::JsonFields& fields, double default_theta, ParsedConfig& parsed);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_ROPE_CONFIG_H_
