// model_type gpt2: transformers/models/gpt2. LayerNorm, learned positions, weights stored [inputs,
// outputs] (Conv1D), q, k and v fused in c_attn.
#include <fmt/format.h>

#include "autodist/arch/config_parts.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

// transformers maps its common names onto gpt2's own; a file may use either.
std::string_view NameIn(const core::JsonFields& fields, std::string_view own,
                        std::string_view common) {
  return fields.Has(own) || !fields.Has(common) ? own : common;
}

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  spec::ModelConfig& config = parsed.config;
  config.hidden_size = fields.RequiredInt(NameIn(fields, "n_embd", "hidden_size"), 1, kMaxWidth);
  config.embedding_size = config.hidden_size;
  config.num_layers =
      fields.RequiredInt(NameIn(fields, "n_layer", "num_hidden_layers"), 1, kMaxLayers);
  config.ffn_size = SizeOr(fields, "n_inner", 4 * config.hidden_size, 4 * kMaxWidth);
  config.vocab_size = fields.RequiredInt("vocab_size", 1, kMaxVocabulary);
  const int64_t positions =
      SizeOr(fields, NameIn(fields, "n_positions", "max_position_embeddings"), 1024, kMaxPositions);
  config.max_position_embeddings = positions;
  config.context_length = positions;
  const std::string_view heads = NameIn(fields, "n_head", "num_attention_heads");
  ReadHeads(fields, heads, heads, config);
  if (config.q_size() != config.hidden_size)
    throw core::BadInput("{}: {} heads of head_dim {} must make up the hidden size {}",
                         fields.source(), config.num_heads, config.head_dim, config.hidden_size);
  if (!fields.Bool("scale_attn_weights").value_or(true)) config.attention_scale = 1.0;
  if (fields.Bool("scale_attn_by_inverse_layer_idx").value_or(false))
    for (int64_t i = 0; i < config.num_layers; ++i)
      config.layer_attention_scale.push_back(1.0 / static_cast<double>(i + 1));
  config.norm = spec::NormKind::kLayer;
  config.norm_epsilon = NormEpsilon(fields, "layer_norm_epsilon", 1e-5);
  config.qkv_bias = true;
  config.attention_output_bias = true;
  config.mlp_bias = true;
  config.gated_mlp = false;
  config.activation = ActivationOf(fields, "activation_function", "gelu_new");
  config.position = spec::PositionKind::kLearned;
  config.learned_position_rows = positions;
  config.layer_window.assign(static_cast<size_t>(config.num_layers), 0);
}

void ListTensors(TensorList& list) {
  using spec::Slot;
  const spec::ModelConfig& c = list.config();
  const int64_t width = c.hidden_size;
  list.Table(Slot::kTokenEmbedding, "transformer.wte");
  list.Table(Slot::kPositionEmbedding, "transformer.wpe");
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::string block = fmt::format("transformer.h.{}.", layer);
    const auto fused = [&](int64_t part) {
      return LinearStorage{
          .transposed = true, .source_row = part * width, .source_rows = 3 * width};
    };
    const LinearStorage transposed{.transposed = true};
    list.Norm(Slot::kAttentionNorm, layer, block + "ln_1", true);
    list.Linear(Slot::kQ, layer, block + "attn.c_attn", true, fused(0));
    list.Linear(Slot::kK, layer, block + "attn.c_attn", true, fused(1));
    list.Linear(Slot::kV, layer, block + "attn.c_attn", true, fused(2));
    list.Linear(Slot::kAttentionOutput, layer, block + "attn.c_proj", true, transposed);
    list.Norm(Slot::kMlpNorm, layer, block + "ln_2", true);
    list.Linear(Slot::kUp, layer, block + "mlp.c_fc", true, transposed);
    list.Linear(Slot::kDown, layer, block + "mlp.c_proj", true, transposed);
  }
  list.Norm(Slot::kFinalNorm, -1, "transformer.ln_f", true);
  list.Table(Slot::kHead, "lm_head");
}

}  // namespace

Family Gpt2() {
  return {.model_type = "gpt2",
          .parse = Parse,
          .tied_by_default = true,
          .prefix = "transformer.",
          .list_tensors = ListTensors,
          .ignored_endings = {".attn.bias", ".attn.masked_bias"}};
}

}  // namespace autodist::arch
