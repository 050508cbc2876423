// What the model's own files say about generating: the set of end-of-sequence ids and the special
// ids.
#ifndef AUTODIST_SPEC_GENERATION_DEFAULTS_H_
#define AUTODIST_SPEC_GENERATION_DEFAULTS_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace autodist::spec {

struct GenerationDefaults {
  // Sorted, unique: eos of generation_config.json, or of config.json when it has none; infer adds
  // the tokenizer's eos and pad. Each is in [0, vocab_size).
  std::vector<int32_t> eos_ids;
  std::optional<int32_t> bos_id;
  std::optional<int32_t> pad_id;
};

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_GENERATION_DEFAULTS_H_
