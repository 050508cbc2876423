// What llama, mistral, qwen2 and qwen3 share. For arch/ only.
#ifndef AUTODIST_ARCH_LLAMA_LIKE_H_
#define AUTODIST_ARCH_LLAMA_LIKE_H_

#include <cstdint>
#include <string_view>

#include "autodist/arch/family.h"

namespace autodist::arch {

// Sizes, RMS norm, gated MLP and rope under llama's field names; no biases, no windows, no q/k
// norm. `default_positions`: max_position_embeddings when the file has none.
void ReadLlamaLike(const core::JsonFields& fields, int64_t default_positions, ParsedConfig& parsed);

// A family whose files differ from llama's by what `parse` reads only.
Family LlamaLike(std::string_view model_type, decltype(Family::parse) parse);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_LLAMA_LIKE_H_
