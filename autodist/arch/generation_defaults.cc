#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <system_error>

#include "autodist/arch/registry.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::arch {
namespace {

int32_t EosId(const core::Json& value, std::string_view source, int64_t vocab_size) {
  if (!value.is_number_integer())
    throw core::BadInput(
        "{}: field eos_token_id must be an integer, a list of integers or null, holds {}", source,
        core::DumpJson(value).substr(0, 60));
  const bool huge = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX};
  if (huge || value.get<int64_t>() < 0 || value.get<int64_t>() >= vocab_size)
    throw core::BadInput(
        "{}: field eos_token_id is {}, must be at least 0 and below vocab_size = {}", source,
        core::DumpJson(value), vocab_size);
  return value.get<int32_t>();
}

std::vector<int32_t> EosIds(const core::Json& value, std::string_view source, int64_t vocab_size) {
  std::vector<int32_t> ids;
  if (value.is_array()) {
    for (const core::Json& element : value) ids.push_back(EosId(element, source, vocab_size));
  } else {
    ids.push_back(EosId(value, source, vocab_size));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// Old llama files say -1 for "none".
std::optional<int32_t> SpecialId(const core::JsonFields& fields, std::string_view name,
                                 int64_t vocab_size) {
  const auto id = fields.Int(name, INT64_MIN, vocab_size - 1);
  if (!id || *id < 0) return std::nullopt;
  return static_cast<int32_t>(*id);
}

}  // namespace

spec::GenerationDefaults ReadGenerationDefaults(const std::filesystem::path& model_dir,
                                                const spec::ModelConfig& config) {
  spec::GenerationDefaults defaults;
  bool eos_found = false;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::filesystem::path path = model_dir / name;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    const core::Json json = core::ParseJsonFile(path);
    const std::string source = path.string();
    const core::JsonFields fields(json, source);
    if (const core::Json* eos = fields.Find("eos_token_id"); eos != nullptr && !eos_found) {
      defaults.eos_ids = EosIds(*eos, source, config.vocab_size);
      eos_found = true;
    }
    if (!defaults.bos_id) defaults.bos_id = SpecialId(fields, "bos_token_id", config.vocab_size);
    if (!defaults.pad_id) defaults.pad_id = SpecialId(fields, "pad_token_id", config.vocab_size);
  }
  return defaults;
}

}  // namespace autodist::arch
