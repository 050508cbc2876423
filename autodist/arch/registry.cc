#include "autodist/arch/registry.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodist/arch/config_parts.h"
#include "autodist/arch/family.h"
#include "autodist/arch/tensor_match.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::arch {
namespace {

std::vector<Family> Families() { return {Gpt2(), Llama(), Mistral(), Opt(), Qwen2(), Qwen3()}; }

Family FindFamily(const core::JsonFields& fields) {
  const std::string type = fields.RequiredString("model_type");
  for (const Family& family : Families())
    if (family.model_type == type) return family;
  const std::vector<std::string> known = SupportedModelTypes();
  throw core::BadInput(
      "{}: unsupported model_type {}; nearest supported: {}; supported: {}{}", fields.source(),
      Quoted(type), Nearest(type, known), fmt::join(known, ", "),
      fields.Has("auto_map") ? " (the custom code that auto_map names is never run)" : "");
}

// What no family here computes, whatever its model_type.
void RefuseUnsupported(const core::JsonFields& fields) {
  if (const core::Json* quantization = fields.Find("quantization_config")) {
    std::string method = "no quant_method";
    if (quantization->is_object() && quantization->contains("quant_method"))
      method = core::DumpJson((*quantization)["quant_method"]).substr(0, 60);
    throw core::BadInput(
        "{}: unsupported quantization_config ({}): only float32, float16 and bfloat16 weights are "
        "read",
        fields.source(), method);
  }
  for (const std::string_view flag : {"is_encoder_decoder", "add_cross_attention"})
    if (fields.Bool(flag).value_or(false))
      throw core::BadInput("{}: field {} is true: only decoder-only models are supported",
                           fields.source(), flag);
}

ParsedConfig Parse(const Family& family, const core::JsonFields& fields) {
  RefuseUnsupported(fields);
  ParsedConfig parsed;
  parsed.config.model_type = family.model_type;
  family.parse(fields, parsed);
  parsed.tie_flag = fields.Bool("tie_word_embeddings");
  parsed.config.tied_embedding = parsed.tie_flag.value_or(family.tied_by_default);
  ReadDType(fields, parsed);
  if (fields.Has("auto_map"))
    parsed.remarks.push_back(
        fmt::format("{}: auto_map names custom code; it is never run, the model is computed as {}",
                    fields.source(), family.model_type));
  return parsed;
}

}  // namespace

std::vector<std::string> SupportedModelTypes() {
  std::vector<std::string> types;
  for (const Family& family : Families()) types.emplace_back(family.model_type);
  std::sort(types.begin(), types.end());
  return types;
}

spec::ModelConfig ParseConfig(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "config.json";
  const core::Json json = core::ParseJsonFile(path);
  const std::string source = path.string();
  const core::JsonFields fields(json, source);
  return Parse(FindFamily(fields), fields).config;
}

ModelDescription Describe(const std::filesystem::path& model_dir,
                          const spec::TensorCatalog& catalog) {
  const std::filesystem::path path = model_dir / "config.json";
  const core::Json json = core::ParseJsonFile(path);
  const std::string source = path.string();
  const core::JsonFields fields(json, source);
  const Family family = FindFamily(fields);
  return MatchTensors(family, Parse(family, fields), model_dir, catalog);
}

}  // namespace autodist::arch
