// model_type qwen3: transformers/models/qwen3. llama with an RMS norm on each q and k head before
// rope, an explicit head_dim, and an optional window.
#include <cmath>

#include "autodist/arch/llama_like.h"
#include "autodist/arch/qwen.h"

namespace autodist::arch {
namespace {

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  ReadQwen(fields, parsed);
  parsed.config.qkv_bias = fields.Bool("attention_bias").value_or(false);
  parsed.config.attention_output_bias = parsed.config.qkv_bias;
  parsed.config.qk_norm = true;
}

}  // namespace

Family Qwen3() {
  return {.model_type = "qwen3",
          .parse = Parse,
          .tied_by_default = false,
          .prefix = "model.",
          .list_tensors = ListLlamaLike,
          .ignored_endings = LlamaLikeIgnored()};
}

}  // namespace autodist::arch
