// model_type qwen2: transformers/models/qwen2. llama with biases on q, k and v, and an optional
// window.
#include "autodist/arch/config_parts.h"
#include "autodist/arch/llama_like.h"
#include "autodist/arch/qwen.h"

namespace autodist::arch {
namespace {

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  ReadQwen(fields, parsed);
  parsed.config.qkv_bias = true;
}

}  // namespace

void ReadQwen(const core::JsonFields& fields, ParsedConfig& parsed) {
  ReadLlamaLike(fields, 32768, parsed);
  int64_t window = 0;
  if (fields.Bool("use_sliding_window").value_or(false)) {
    const bool given = fields.object().contains("sliding_window");
    window = given ? fields.Int("sliding_window", 1, kMaxPositions).value_or(0) : 4096;
  }
  ReadLayerWindows(fields, window, fields.Int("max_window_layers", 0, kMaxLayers).value_or(28),
                   parsed.config);
}

Family Qwen2() { return LlamaLike("qwen2", Parse); }

}  // namespace autodist::arch
