// model_type opt: transformers/models/opt. LayerNorm before each half of a block, or (350m) after
// the residual sum; learned positions whose rows start at 2; an embedding narrower than the model
// behind project_in and project_out.
#include <fmt/format.h>

#include "autodist/arch/config_parts.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

constexpr int64_t kPositionOffset = 2;

void Parse(const core::JsonFields& fields, ParsedConfig& parsed) {
  spec::ModelConfig& config = parsed.config;
  config.hidden_size = fields.RequiredInt("hidden_size", 1, kMaxWidth);
  config.embedding_size = SizeOr(fields, "word_embed_proj_dim", config.hidden_size, kMaxWidth);
  config.num_layers = fields.RequiredInt("num_hidden_layers", 1, kMaxLayers);
  config.ffn_size = fields.RequiredInt("ffn_dim", 1, kMaxWidth);
  config.vocab_size = fields.RequiredInt("vocab_size", 1, kMaxVocabulary);
  const int64_t positions = SizeOr(fields, "max_position_embeddings", 2048, kMaxPositions);
  config.max_position_embeddings = positions;
  config.context_length = positions;
  ReadHeads(fields, "num_attention_heads", "num_attention_heads", config);
  if (config.q_size() != config.hidden_size)
    throw core::BadInput("{}: {} heads of head_dim {} must make up hidden_size {}", fields.source(),
                         config.num_heads, config.head_dim, config.hidden_size);
  if (!fields.Bool("layer_norm_elementwise_affine").value_or(true))
    throw core::BadInput(
        "{}: unsupported layer_norm_elementwise_affine false: norms without weights are not "
        "computed",
        fields.source());
  config.norm = spec::NormKind::kLayer;
  config.norm_epsilon = 1e-5;  // torch's default; opt has no field for it
  config.norm_before = fields.Bool("do_layer_norm_before").value_or(true);
  config.final_norm =
      config.norm_before && !fields.Bool("_remove_final_layer_norm").value_or(false);
  const bool bias = fields.Bool("enable_bias").value_or(true);
  config.qkv_bias = bias;
  config.attention_output_bias = bias;
  config.mlp_bias = bias;
  config.gated_mlp = false;
  config.activation = ActivationOf(fields, "activation_function", "relu");
  config.position = spec::PositionKind::kLearned;
  config.learned_position_offset = kPositionOffset;
  config.learned_position_rows = positions + kPositionOffset;
  config.layer_window.assign(static_cast<size_t>(config.num_layers), 0);
}

void ListTensors(TensorList& list) {
  using spec::Slot;
  const spec::ModelConfig& c = list.config();
  const std::string decoder = "model.decoder.";
  const bool projected = c.embedding_size != c.hidden_size;
  list.Table(Slot::kTokenEmbedding, decoder + "embed_tokens");
  list.Table(Slot::kPositionEmbedding, decoder + "embed_positions");
  if (projected) list.Linear(Slot::kProjectIn, -1, decoder + "project_in", false);
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::string block = fmt::format("{}layers.{}.", decoder, layer);
    list.Norm(Slot::kAttentionNorm, layer, block + "self_attn_layer_norm", true);
    list.Linear(Slot::kQ, layer, block + "self_attn.q_proj", c.qkv_bias);
    list.Linear(Slot::kK, layer, block + "self_attn.k_proj", c.qkv_bias);
    list.Linear(Slot::kV, layer, block + "self_attn.v_proj", c.qkv_bias);
    list.Linear(Slot::kAttentionOutput, layer, block + "self_attn.out_proj",
                c.attention_output_bias);
    list.Norm(Slot::kMlpNorm, layer, block + "final_layer_norm", true);
    list.Linear(Slot::kUp, layer, block + "fc1", c.mlp_bias);
    list.Linear(Slot::kDown, layer, block + "fc2", c.mlp_bias);
  }
  if (c.final_norm) list.Norm(Slot::kFinalNorm, -1, decoder + "final_layer_norm", true);
  if (projected) list.Linear(Slot::kProjectOut, -1, decoder + "project_out", false);
  list.Table(Slot::kHead, "lm_head");
}

}  // namespace

Family Opt() {
  return {.model_type = "opt",
          .parse = Parse,
          .tied_by_default = true,
          .prefix = "model.",
          .list_tensors = ListTensors,
          .ignored_endings = {}};
}

}  // namespace autodist::arch
