// What llama, mistral, qwen2 and qwen3 share. For arch/ only.
#ifndef AUTODIST_ARCH_LLAMA_LIKE_H_
#define AUTODIST_ARCH_LLAMA_LIKE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "autodist/arch/family.h"

namespace autodist::arch {

// Sizes, RMS norm, gated MLP and rope under llama's field names; no biases, no windows, no q/k
// norm. `default_positions`: max_position_embeddings when the file has none.
void ReadLlamaLike(const core::JsonFields& fields, int64_t default_positions, ParsedConfig& parsed);

// model.embed_tokens, model.layers.N.{...}, model.norm, lm_head; biases and q/k norms as the
// configuration says.
void ListLlamaLike(TensorList& list);

// Buffers that old versions stored.
std::vector<std::string_view> LlamaLikeIgnored();

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_LLAMA_LIKE_H_
