// model_type qwen3: transformers/models/qwen3. llama with an RMS norm on each q and k head before
// rope, an explicit head_dim, and an optional window.
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

Family Qwen3() { return LlamaLike("qwen3", Parse); }

}  // namespace autodist::arch
