#include "tests/end_to_end/tiny_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodist/core/check.h"

namespace autodist::testing {
namespace {

// Uniform in centre +- width; the same in every run.
std::string Values(uint64_t& state, int64_t count, float centre, float width) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = centre + width * (static_cast<float>(state >> 40) / 8388608.0f - 1.0f);
  }
  return checkpoint::testing::BytesOf(values);
}

std::vector<BuiltTensor> Tensors(const TinyShape& s) {
  std::vector<BuiltTensor> tensors;
  uint64_t state = 1;
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    tensors.push_back({name + ".weight", "F32", {rows, cols}, Values(state, rows * cols, 0, 0.3f)});
  };
  const auto norm = [&](const std::string& name) {
    tensors.push_back({name + ".weight", "F32", {s.hidden}, Values(state, s.hidden, 1, 0.2f)});
  };
  const int64_t head_dim = s.hidden / s.heads;
  matrix("model.embed_tokens", s.vocab, s.hidden);
  for (int64_t layer = 0; layer < s.layers; ++layer) {
    const std::string block = fmt::format("model.layers.{}.", layer);
    norm(block + "input_layernorm");
    matrix(block + "self_attn.q_proj", s.heads * head_dim, s.hidden);
    matrix(block + "self_attn.k_proj", s.kv_heads * head_dim, s.hidden);
    matrix(block + "self_attn.v_proj", s.kv_heads * head_dim, s.hidden);
    matrix(block + "self_attn.o_proj", s.hidden, s.heads * head_dim);
    norm(block + "post_attention_layernorm");
    matrix(block + "mlp.gate_proj", s.ffn, s.hidden);
    matrix(block + "mlp.up_proj", s.ffn, s.hidden);
    matrix(block + "mlp.down_proj", s.hidden, s.ffn);
  }
  norm("model.norm");
  if (!s.tied) matrix("lm_head", s.vocab, s.hidden);
  return tensors;
}

core::Json Config(const TinyShape& s) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_act", "silu"},
          {"hidden_size", s.hidden},
          {"intermediate_size", s.ffn},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.kv_heads},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.positions},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", s.tied},
          {"bos_token_id", 1},
          {"eos_token_id", 2},
          {"torch_dtype", "float32"}};
}

core::Json Tokenizer() {
  core::Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = byte + 3;
  core::Json added = core::Json::array();
  for (const auto& [name, id] : vocab.items()) {
    if (id > 2) continue;
    added.push_back({{"id", id},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder",
           {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", core::Json::array()}}}};
}

}  // namespace

TinyModel::TinyModel(const TinyShape& shape)
    : config(Config(shape)), tokenizer(Tokenizer()), tensors(Tensors(shape)) {}

void TinyModel::Write(const std::filesystem::path& directory) const {
  WriteBytes(directory / "config.json", config.dump());
  WriteBytes(directory / "tokenizer.json", tokenizer.dump());
  WriteBytes(directory / "model.safetensors", BuildSafetensors(tensors));
}

BuiltTensor& TinyModel::Tensor(const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const BuiltTensor& tensor) { return tensor.name == name; });
  AUTODIST_CHECK(found != tensors.end());
  return *found;
}

}  // namespace autodist::testing
