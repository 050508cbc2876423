// What one decoder model is, as data: everything model/ needs to compute it, nothing about where it
// came from.
//
// Filled by arch/ from config.json; model/ never asks for a family. Sizes are in elements.
#ifndef AUTODIST_SPEC_MODEL_CONFIG_H_
#define AUTODIST_SPEC_MODEL_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/core/dtype.h"

namespace autodist::spec {

enum class NormKind { kRms, kLayer };
enum class Activation { kSilu, kGelu, kGeluTanh, kQuickGelu, kRelu };
enum class PositionKind { kRope, kLearned };
enum class RopeKind { kDefault, kLinear, kDynamic, kYarn, kLlama3 };

// Rotary position embedding, half pairing: element j of a head turns with element j + dim/2.
struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  int64_t dim = 0;  // rotated elements of each head, even, <= head_dim
  double factor = 1.0;
  int64_t original_max_position = 0;
  // llama3
  double low_freq_factor = 1.0;
  double high_freq_factor = 1.0;
  // yarn
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double attention_factor = 0.0;  // 0: derived from factor, mscale and mscale_all_dim
  double mscale = 0.0;
  double mscale_all_dim = 0.0;
  bool truncate = true;
};

struct ModelConfig {
  std::string model_type;  // as in config.json; for messages only

  int64_t hidden_size = 0;
  int64_t embedding_size =
      0;  // width of the embedding table; differs from hidden_size with project_in / project_out
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;  // divides num_heads
  int64_t head_dim = 0;
  int64_t ffn_size = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;  // as in config.json
  int64_t context_length =
      0;  // positions the model accepts (dynamic rope: max_position_embeddings * factor)

  NormKind norm = NormKind::kRms;
  double norm_epsilon = 1e-6;
  bool norm_before = true;  // false: x = norm(x + f(x)) (OPT-350m)
  bool final_norm = true;
  bool qk_norm = false;  // RMS norm over head_dim of each q and k head, before rope

  bool qkv_bias = false;
  bool attention_output_bias = false;
  bool mlp_bias = false;
  bool gated_mlp = true;
  Activation activation = Activation::kSilu;

  PositionKind position = PositionKind::kRope;
  RopeConfig rope;
  int64_t learned_position_rows = 0;    // rows of the table, offset included
  int64_t learned_position_offset = 0;  // row = position + offset
  double attention_scale = 0.0;         // scores are multiplied by it; head_dim^-0.5 for most
  // Scale of one layer's scores relative to attention_scale (gpt2 scale_attn_by_inverse_layer_idx);
  // empty: all 1.
  std::vector<double> layer_attention_scale;
  std::vector<int64_t>
      layer_window;  // per layer: a query sees this many positions, itself included; 0: all

  bool tied_embedding = false;  // the head is the embedding table
  core::DType checkpoint_dtype =
      core::DType::kF32;  // what config.json says, or f32; tensors may differ

  int64_t kv_group() const { return num_heads / num_kv_heads; }
  int64_t q_size() const { return num_heads * head_dim; }
  int64_t kv_size() const { return num_kv_heads * head_dim; }
};

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_MODEL_CONFIG_H_
