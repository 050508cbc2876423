// model_type mistral: transformers/models/mistral. llama without biases, and one sliding window on
// every layer.
#include <algorithm>

#include "autodist/arch/config_parts.h"
#include "autodist/arch/llama_like.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

constexpr int64_t kDefaultWindow =
    4096;  // when the file has no sliding_window at all; null means none

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  ReadLlamaLike(fields, int64_t{4096} * 32, parsed);
  spec::ModelConfig& config = parsed.config;
  const bool given = fields.object().contains("sliding_window");
  const int64_t window =
      given ? fields.Int("sliding_window", 1, kMaxPositions).value_or(0) : kDefaultWindow;
  ReadLayerWindows(fields, window, 0, config);
  // transformers computes mistral with one mask for all layers: a mixture belongs to another
  // model_type.
  if (std::any_of(config.layer_window.begin(), config.layer_window.end(),
                  [&](int64_t w) { return w != window; }))
    throw core::BadInput(
        "{}: unsupported attention types in layer_types: all layers of mistral are {} when "
        "sliding_window is {}",
        fields.source(), window > 0 ? "sliding_attention" : "full_attention",
        window > 0 ? "set" : "null");
}

}  // namespace

Family Mistral() { return LlamaLike("mistral", Parse); }

}  // namespace autodist::arch
