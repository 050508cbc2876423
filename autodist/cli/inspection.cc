#include "autodist/cli/inspection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "autodist/checkpoint/safetensors.h"
#include "autodist/cli/summary.h"
#include "autodist/core/error.h"
#include "autodist/text/tokenizer.h"

namespace autodist::cli {
namespace {

using core::Json;

std::string_view NameOf(spec::Activation activation) {
  switch (activation) {
    case spec::Activation::kSilu:
      return "silu";
    case spec::Activation::kGelu:
      return "gelu";
    case spec::Activation::kGeluTanh:
      return "gelu_tanh";
    case spec::Activation::kQuickGelu:
      return "quick_gelu";
    case spec::Activation::kRelu:
      return "relu";
  }
  return "";
}

std::string_view NameOf(spec::RopeKind kind) {
  switch (kind) {
    case spec::RopeKind::kDefault:
      return "default";
    case spec::RopeKind::kLinear:
      return "linear";
    case spec::RopeKind::kDynamic:
      return "dynamic";
    case spec::RopeKind::kYarn:
      return "yarn";
    case spec::RopeKind::kLlama3:
      return "llama3";
  }
  return "";
}

// "model.layers.12.mlp" -> "model.layers.*.mlp" for layer 12.
std::string WithoutLayer(const std::string& name, int layer) {
  if (layer < 0) return name;
  const std::string number = fmt::format(".{}.", layer);
  const size_t at = name.find(number);
  return at == std::string::npos ? name
                                 : name.substr(0, at) + ".*." + name.substr(at + number.size());
}

Json PositionJson(const spec::ModelConfig& config) {
  if (config.position == spec::PositionKind::kLearned)
    return {{"kind", "learned"},
            {"rows", config.learned_position_rows},
            {"offset", config.learned_position_offset}};
  const spec::RopeConfig& rope = config.rope;
  Json json = {
      {"kind", "rope"}, {"type", NameOf(rope.kind)}, {"theta", rope.theta}, {"dim", rope.dim}};
  if (rope.kind != spec::RopeKind::kDefault) {
    json["factor"] = rope.factor;
    json["original_max_position"] = rope.original_max_position;
  }
  return json;
}

Json ConfigJson(const spec::ModelConfig& config) {
  const std::set<int64_t> windows(config.layer_window.begin(), config.layer_window.end());
  return {{"hidden_size", config.hidden_size},
          {"embedding_size", config.embedding_size},
          {"num_layers", config.num_layers},
          {"num_heads", config.num_heads},
          {"num_kv_heads", config.num_kv_heads},
          {"head_dim", config.head_dim},
          {"ffn_size", config.ffn_size},
          {"vocab_size", config.vocab_size},
          {"context_length", config.context_length},
          {"norm", config.norm == spec::NormKind::kRms ? "rms" : "layer"},
          {"norm_epsilon", config.norm_epsilon},
          {"norm_before", config.norm_before},
          {"qk_norm", config.qk_norm},
          {"activation", NameOf(config.activation)},
          {"gated_mlp", config.gated_mlp},
          {"qkv_bias", config.qkv_bias},
          {"attention_output_bias", config.attention_output_bias},
          {"mlp_bias", config.mlp_bias},
          {"position", PositionJson(config)},
          {"attention_windows", windows},  // 0: all positions
          {"tied_embedding", config.tied_embedding},
          {"checkpoint_dtype", core::NameOf(config.checkpoint_dtype)}};
}

Json IdJson(const std::optional<int32_t>& id) { return id ? Json(*id) : Json(); }

Json TokenizerJson(const std::filesystem::path& model_dir) {
  if (!std::filesystem::exists(model_dir / "tokenizer.json")) return nullptr;
  try {
    const auto tokenizer = text::Tokenizer::Load(model_dir);
    return {{"vocab_size", tokenizer->vocab_size()},
            {"bos_id", IdJson(tokenizer->bos_id())},
            {"eos_id", IdJson(tokenizer->eos_id())},
            {"pad_id", IdJson(tokenizer->pad_id())}};
  } catch (const core::Error& error) {
    return {{"error", error.what()}};
  }
}

int64_t Parameters(const Inspection& inspection) {
  int64_t count = 0;
  for (const spec::ModelTensor& tensor : inspection.model.tensors)
    count += tensor.rows * tensor.cols;
  return count;
}

std::string Shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return core::DumpJson(value);
  std::string text;
  for (const auto& [key, field] : value.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, Shown(field));
  return text;
}

}  // namespace

std::vector<TensorPattern> FoldTensors(const std::vector<spec::ModelTensor>& tensors,
                                       const spec::TensorCatalog& catalog) {
  std::vector<TensorPattern> patterns;
  using Key = std::tuple<std::string, std::string, std::string, std::vector<int64_t>>;
  std::map<Key, size_t> index;
  for (const spec::ModelTensor& tensor : tensors) {
    const spec::StoredTensor& stored = catalog.tensors.at(tensor.source);
    const std::string name = WithoutLayer(tensor.source, tensor.id.layer);
    const std::string own = WithoutLayer(spec::ToString(tensor.id), tensor.id.layer);
    const auto [entry, added] =
        index.emplace(Key(name, own, stored.dtype, stored.shape), patterns.size());
    if (added)
      patterns.push_back(
          {name, own, stored.dtype, stored.shape, std::string(spec::NameOf(tensor.role)), 0});
    ++patterns[entry->second].count;
  }
  return patterns;
}

Inspection Inspect(const std::filesystem::path& model_dir) {
  Inspection result;
  result.directory = model_dir;
  result.catalog = checkpoint::ReadCatalog(model_dir);
  result.model = arch::Describe(model_dir, result.catalog);
  result.generation = arch::ReadGenerationDefaults(model_dir, result.model.config);
  result.tokenizer = TokenizerJson(model_dir);
  return result;
}

Json ToJson(const Inspection& inspection) {
  Json files = Json::array();
  for (const spec::WeightFile& file : inspection.catalog.files)
    files.push_back({{"name", file.path.filename().string()}, {"bytes", file.size_bytes}});
  Json tensors = Json::array();
  for (const TensorPattern& p : FoldTensors(inspection.model.tensors, inspection.catalog))
    tensors.push_back({{"name", p.name},
                       {"tensor", p.tensor},
                       {"dtype", p.dtype},
                       {"shape", p.shape},
                       {"role", p.role},
                       {"count", p.count}});
  const spec::GenerationDefaults& generation = inspection.generation;
  return {{"model", inspection.directory.string()},
          {"model_type", inspection.model.config.model_type},
          {"parameters", Parameters(inspection)},
          {"config", ConfigJson(inspection.model.config)},
          {"files", files},
          {"tensors", tensors},
          {"ignored_tensors", inspection.model.ignored},
          {"tokenizer", inspection.tokenizer},
          {"generation",
           {{"eos_ids", generation.eos_ids},
            {"bos_id", IdJson(generation.bos_id)},
            {"pad_id", IdJson(generation.pad_id)}}},
          {"remarks", inspection.model.remarks}};
}

std::string ToText(const Inspection& inspection) {
  const Json json = ToJson(inspection);
  std::string text =
      fmt::format("{}: {}, {} parameters, {} in {} file{}\n\nconfig\n",
                  inspection.directory.string(), inspection.model.config.model_type,
                  Parameters(inspection), ByteText(inspection.catalog.total_bytes()),
                  inspection.catalog.files.size(), inspection.catalog.files.size() == 1 ? "" : "s");
  for (const auto& [key, value] : json["config"].items())
    text += fmt::format("  {:<22} {}\n", key, Shown(value));
  text += "\ntensors\n";
  for (const TensorPattern& p : FoldTensors(inspection.model.tensors, inspection.catalog))
    text += fmt::format("  {:>3} x {:<48} {:<4} [{}]  {}, {}\n", p.count, p.name, p.dtype,
                        fmt::join(p.shape, ", "), p.tensor, p.role);
  if (!inspection.model.ignored.empty())
    text += fmt::format("\nignored tensors: {}\n", fmt::join(inspection.model.ignored, ", "));
  text += fmt::format("\ntokenizer   {}\n", inspection.tokenizer.is_null()
                                                ? "none in the directory"
                                                : Shown(inspection.tokenizer));
  text += fmt::format("generation  {}\n", Shown(json["generation"]));
  for (const std::string& remark : inspection.model.remarks)
    text += fmt::format("note: {}\n", remark);
  return text;
}

}  // namespace autodist::cli
