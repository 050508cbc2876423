#include "autodist/arch/known_models.h"

#include <algorithm>
#include <cctype>

namespace autodist::arch {
namespace {

constexpr bool kTied = true, kUntied = false;
constexpr const char* kExpertsOnly =
    "experts have no userbuffers: fc1 and fc2 are left out, every layer's feed-forward is experts";

// As in config.json, where vocabulary and tying only serve to count parameters.
struct Dense {
  const char* name;
  int64_t layers, hidden, heads, kv_heads, head_dim, ffn, vocabulary;
  bool tied;
  bool gated = true;
};

constexpr Dense kDense[] = {
    {"Qwen/Qwen2.5-0.5B", 24, 896, 14, 2, 64, 4864, 151936, kTied},
    {"Qwen/Qwen2.5-7B", 28, 3584, 28, 4, 128, 18944, 152064, kUntied},
    {"Qwen/Qwen2.5-72B", 80, 8192, 64, 8, 128, 29568, 152064, kUntied},
    {"Qwen/Qwen3-0.6B", 28, 1024, 16, 8, 128, 3072, 151936, kTied},
    {"Qwen/Qwen3-1.7B", 28, 2048, 16, 8, 128, 6144, 151936, kTied},
    {"Qwen/Qwen3-4B", 36, 2560, 32, 8, 128, 9728, 151936, kTied},
    {"Qwen/Qwen3-8B", 36, 4096, 32, 8, 128, 12288, 151936, kUntied},
    {"Qwen/Qwen3-14B", 40, 5120, 40, 8, 128, 17408, 151936, kUntied},
    {"Qwen/Qwen3-32B", 64, 5120, 64, 8, 128, 25600, 151936, kUntied},
    {"deepseek-ai/deepseek-coder-1.3b-base", 24, 2048, 16, 16, 128, 5504, 32256, kUntied},
    {"facebook/opt-1.3b", 24, 2048, 32, 32, 64, 8192, 50272, kTied, false},
    {"meta-llama/Meta-Llama-3-8B", 32, 4096, 32, 8, 128, 14336, 128256, kUntied},
    {"meta-llama/Meta-Llama-3-70B", 80, 8192, 64, 8, 128, 28672, 128256, kUntied},
    {"meta-llama/Llama-3.1-405B", 126, 16384, 128, 8, 128, 53248, 128256, kUntied},
};

// Names by which the models above are called too.
constexpr struct {
  const char* alias;
  const char* name;
} kAliases[] = {
    {"Llama-3-8B", "meta-llama/Meta-Llama-3-8B"},
    {"Llama-3-70B", "meta-llama/Meta-Llama-3-70B"},
    {"Llama-3-405B", "meta-llama/Llama-3.1-405B"},
    {"DeepSeek-Coder-1.3B", "deepseek-ai/deepseek-coder-1.3b-base"},
};

// Norms and biases are not counted: far below a thousandth.
int64_t Parameters(const spec::OverlapModel& model, int64_t vocabulary, bool tied) {
  int64_t layer = 0;
  for (const spec::LinearOp op : model.Operators()) {
    const spec::LinearShape shape = spec::ShapeOf(model, op);
    layer += shape.inputs * shape.outputs;
  }
  return model.num_layers * layer + (tied ? 1 : 2) * vocabulary * model.hidden_size;
}

spec::OverlapModel FromDense(const Dense& dense) {
  spec::OverlapModel model{.name = dense.name,
                           .num_layers = dense.layers,
                           .hidden_size = dense.hidden,
                           .num_heads = dense.heads,
                           .num_kv_heads = dense.kv_heads,
                           .q_size = dense.heads * dense.head_dim,
                           .kv_size = dense.kv_heads * dense.head_dim,
                           .ffn_size = dense.ffn,
                           .gated_mlp = dense.gated};
  model.parameters = Parameters(model, dense.vocabulary, dense.tied);
  return model;
}

// Their memory depends on how the experts are spread, so parameters stay 0.
std::vector<spec::OverlapModel> ModelsWithExperts() {
  const auto attention = [](const char* name, int64_t layers, int64_t hidden, int64_t heads,
                            int64_t kv_heads) {
    return spec::OverlapModel{.name = name,
                              .num_layers = layers,
                              .hidden_size = hidden,
                              .num_heads = heads,
                              .num_kv_heads = kv_heads,
                              .q_size = heads * 128,
                              .kv_size = kv_heads * 128,
                              .notes = {kExpertsOnly}};
  };
  std::vector<spec::OverlapModel> models = {
      attention("Qwen/Qwen3-30B-A3B", 48, 2048, 32, 4),
      attention("Qwen/Qwen3-235B-A22B", 94, 4096, 64, 4),
      attention("Qwen/Qwen1.5-MoE-A2.7B", 24, 2048, 16, 16),
  };
  spec::OverlapModel deepseek = attention("deepseek-ai/DeepSeek-V3-Base", 61, 7168, 128, 128);
  deepseek.kv_size = 0;
  deepseek.ffn_size = 18432;
  deepseek.notes = {
      "latent attention has no qkv operator: its projections have no userbuffers",
      "fc1 and fc2 are those of the first 3 layers: the other 58 are experts, which have no "
      "userbuffers"};
  models.push_back(std::move(deepseek));
  return models;
}

std::vector<spec::OverlapModel> KnownModels() {
  std::vector<spec::OverlapModel> models = ModelsWithExperts();
  for (const Dense& dense : kDense) models.push_back(FromDense(dense));
  return models;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& letter : lower)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return lower;
}

}  // namespace

std::vector<std::string> KnownModelNames() {
  std::vector<std::string> names;
  for (const spec::OverlapModel& model : KnownModels()) names.push_back(model.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<spec::OverlapModel> FindKnownModel(std::string_view name) {
  std::string wanted = LowerCase(name);
  for (const auto& [alias, full] : kAliases)
    if (LowerCase(alias) == wanted) wanted = LowerCase(full);
  for (const spec::OverlapModel& model : KnownModels()) {
    const std::string known = LowerCase(model.name);
    if (known == wanted || known.substr(known.find('/') + 1) == wanted) return model;
  }
  return std::nullopt;
}

spec::OverlapModel OverlapModelOf(const spec::ModelConfig& config, std::string name) {
  spec::OverlapModel model{.name = std::move(name),
                           .num_layers = config.num_layers,
                           .hidden_size = config.hidden_size,
                           .num_heads = config.num_heads,
                           .num_kv_heads = config.num_kv_heads,
                           .q_size = config.q_size(),
                           .kv_size = config.kv_size(),
                           .ffn_size = config.ffn_size,
                           .gated_mlp = config.gated_mlp};
  model.parameters = Parameters(model, config.vocab_size, config.tied_embedding);
  return model;
}

}  // namespace autodist::arch
