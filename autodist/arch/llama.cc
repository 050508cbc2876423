// model_type llama: transformers/models/llama.
#include <algorithm>

#include "autodist/arch/llama_like.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  ReadLlamaLike(fields, 2048, parsed);
  parsed.config.qkv_bias = fields.Bool("attention_bias").value_or(false);
  parsed.config.attention_output_bias = parsed.config.qkv_bias;
  parsed.config.mlp_bias = fields.Bool("mlp_bias").value_or(false);
  if (const core::Json* types = fields.Find("layer_types")) {
    if (!types->is_array() ||
        !std::all_of(types->begin(), types->end(),
                     [](const core::Json& type) { return type == "full_attention"; }))
      throw core::BadInput(
          "{}: unsupported attention type in layer_types: llama layers are all full_attention",
          fields.source());
  }
}

}  // namespace

Family Llama() { return LlamaLike("llama", Parse); }

}  // namespace autodist::arch
