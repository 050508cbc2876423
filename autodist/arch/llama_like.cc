#include "autodist/arch/llama_like.h"

#include <fmt/format.h>

#include "autodist/arch/config_parts.h"
#include "autodist/arch/rope_config.h"

namespace autodist::arch {

void ReadLlamaLike(const core::JsonFields& fields, int64_t default_positions,
                   ParsedConfig& parsed) {
  spec::ModelConfig& config = parsed.config;
  config.hidden_size = fields.RequiredInt("hidden_size", 1, kMaxWidth);
  config.embedding_size = config.hidden_size;
  config.num_layers = fields.RequiredInt("num_hidden_layers", 1, kMaxLayers);
  config.ffn_size = fields.RequiredInt("intermediate_size", 1, kMaxWidth);
  config.vocab_size = fields.RequiredInt("vocab_size", 1, kMaxVocabulary);
  config.max_position_embeddings =
      SizeOr(fields, "max_position_embeddings", default_positions, kMaxPositions);
  ReadHeads(fields, "num_attention_heads", "num_key_value_heads", config);
  config.norm = spec::NormKind::kRms;
  config.norm_epsilon = NormEpsilon(fields, "rms_norm_eps", 1e-6);
  config.gated_mlp = true;
  config.activation = ActivationOf(fields, "hidden_act", "silu");
  config.position = spec::PositionKind::kRope;
  config.layer_window.assign(static_cast<size_t>(config.num_layers), 0);
  ReadRope(fields, 10000.0, parsed);
}

namespace {

// model.embed_tokens, model.layers.N.{...}, model.norm, lm_head; biases and q/k norms as the
// configuration says.
void ListLlamaLike(TensorList& list) {
  using spec::Slot;
  const spec::ModelConfig& c = list.config();
  list.Table(Slot::kTokenEmbedding, "model.embed_tokens");
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::string block = fmt::format("model.layers.{}.", layer);
    list.Norm(Slot::kAttentionNorm, layer, block + "input_layernorm", false);
    list.Linear(Slot::kQ, layer, block + "self_attn.q_proj", c.qkv_bias);
    list.Linear(Slot::kK, layer, block + "self_attn.k_proj", c.qkv_bias);
    list.Linear(Slot::kV, layer, block + "self_attn.v_proj", c.qkv_bias);
    if (c.qk_norm) {
      list.Norm(Slot::kQNorm, layer, block + "self_attn.q_norm", false);
      list.Norm(Slot::kKNorm, layer, block + "self_attn.k_norm", false);
    }
    list.Linear(Slot::kAttentionOutput, layer, block + "self_attn.o_proj", c.attention_output_bias);
    list.Norm(Slot::kMlpNorm, layer, block + "post_attention_layernorm", false);
    list.Linear(Slot::kGate, layer, block + "mlp.gate_proj", c.mlp_bias);
    list.Linear(Slot::kUp, layer, block + "mlp.up_proj", c.mlp_bias);
    list.Linear(Slot::kDown, layer, block + "mlp.down_proj", c.mlp_bias);
  }
  list.Norm(Slot::kFinalNorm, -1, "model.norm", false);
  list.Table(Slot::kHead, "lm_head");
}

}  // namespace

Family LlamaLike(std::string_view model_type, decltype(Family::parse) parse) {
  return {.model_type = model_type,
          .parse = parse,
          .tied_by_default = false,
          .prefix = "model.",
          .list_tensors = ListLlamaLike,
          .ignored_endings = {"rotary_emb.inv_freq"}};  // a buffer that old versions stored
}

}  // namespace autodist::arch
