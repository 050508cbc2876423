#include "autodist/arch/rope_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "autodist/arch/config_parts.h"
#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

using spec::RopeConfig;
using spec::RopeKind;

struct NamedKind {
  std::string_view name;
  RopeKind kind;
};
constexpr NamedKind kKinds[] = {{"default", RopeKind::kDefault},
                                {"linear", RopeKind::kLinear},
                                {"dynamic", RopeKind::kDynamic},
                                {"yarn", RopeKind::kYarn},
                                {"llama3", RopeKind::kLlama3}};

RopeKind KindOf(const core::JsonFields& rope) {
  std::string word = "default";
  for (const std::string_view name : {"type", "rope_type"})
    if (auto value = rope.String(name)) word = *std::move(value);
  std::vector<std::string> known;
  for (const NamedKind& entry : kKinds) {
    if (entry.name == word) return entry.kind;
    known.emplace_back(entry.name);
  }
  throw core::BadInput("{}: unsupported rope_type {}; supported: {}", rope.source(), Quoted(word),
                       fmt::join(known, ", "));
}

double Above(const core::JsonFields& rope, std::string_view name, double limit,
             std::optional<double> otherwise) {
  const auto value = rope.Number(name);
  if (!value && !otherwise) throw core::BadInput("{}: field {} is missing", rope.source(), name);
  const double number = value.value_or(otherwise.value_or(0.0));
  if (!(number > limit))
    throw core::BadInput("{}: field {} is {}, must be above {}", rope.source(), name, number,
                         limit);
  return number;
}

// transformers treats a null or a zero beta as the default.
double BetaOr(const core::JsonFields& rope, std::string_view name, double otherwise) {
  const double value = rope.Number(name).value_or(0.0);
  if (value < 0.0)
    throw core::BadInput("{}: field {} is {}, must be above 0", rope.source(), name, value);
  return value == 0.0 ? otherwise : value;
}

void ReadYarn(const core::JsonFields& rope, int64_t max_positions, RopeConfig& config) {
  const double stretch =
      static_cast<double>(max_positions) / static_cast<double>(config.original_max_position);
  config.factor = Above(rope, "factor", 0.0, stretch);
  if (rope.Has("attention_factor"))
    config.attention_factor = Above(rope, "attention_factor", 0.0, std::nullopt);
  config.beta_fast = BetaOr(rope, "beta_fast", 32.0);
  config.beta_slow = BetaOr(rope, "beta_slow", 1.0);
  config.mscale = rope.Number("mscale").value_or(0.0);
  config.mscale_all_dim = rope.Number("mscale_all_dim").value_or(0.0);
  config.truncate = rope.Bool("truncate").value_or(true);
}

void ReadLlama3(const core::JsonFields& rope, RopeConfig& config) {
  config.factor = Above(rope, "factor", 0.0, std::nullopt);
  config.low_freq_factor = Above(rope, "low_freq_factor", 0.0, std::nullopt);
  config.high_freq_factor = Above(rope, "high_freq_factor", 0.0, std::nullopt);
  if (config.low_freq_factor == config.high_freq_factor)
    throw core::BadInput("{}: fields low_freq_factor and high_freq_factor are both {}, must differ",
                         rope.source(), config.low_freq_factor);
}

// Positions that dynamic scaling reaches: max_position_embeddings * factor.
int64_t DynamicContext(int64_t max_positions, double factor) {
  const double positions = std::floor(static_cast<double>(max_positions) * factor);
  return static_cast<int64_t>(std::clamp(positions, 1.0, static_cast<double>(kMaxPositions)));
}

void RefuseUnread(const core::JsonFields& rope) {
  for (const std::string_view name : {"mrope_section", "alpha", "short_factor", "long_factor"})
    if (rope.Has(name)) throw core::BadInput("{}: unsupported rope field {}", rope.source(), name);
  for (const auto& [name, value] : rope.object().items())
    if (value.is_object())
      throw core::BadInput(
          "{}: rope parameters per layer type ({}) are not supported for this model_type",
          rope.source(), name);
}

// Whole heads turn in every family read so far; with the plain type transformers overlooks the
// factor, with the others it fails.
void CheckPartialFactor(const core::JsonFields& fields, const core::JsonFields& rope,
                        ParsedConfig& parsed) {
  const auto inner = rope.Number("partial_rotary_factor");
  const double partial = inner ? *inner : fields.Number("partial_rotary_factor").value_or(1.0);
  if (partial == 1.0) return;
  if (parsed.config.rope.kind != RopeKind::kDefault)
    throw core::BadInput(
        "{}: field partial_rotary_factor is {}, must be 1 for this model_type and rope_type",
        fields.source(), partial);
  parsed.remarks.push_back(
      fmt::format("{}: field partial_rotary_factor = {} is not used: {} turns whole heads",
                  fields.source(), partial, parsed.config.model_type));
}

}  // namespace

void ReadRope(const core::JsonFields& fields, double default_theta, ParsedConfig& parsed) {
  spec::ModelConfig& model = parsed.config;
  AUTODIST_CHECK_GT(model.head_dim, 0);
  AUTODIST_CHECK_GT(model.max_position_embeddings, 0);

  const core::Json none = core::Json::object();
  const core::Json* object = fields.Find("rope_scaling");
  std::string name = "rope_scaling";
  if (object == nullptr || object->empty()) {
    object = fields.Find("rope_parameters");
    name = "rope_parameters";
  }
  const std::string source = fmt::format("{}, {}", fields.source(), name);
  const core::JsonFields rope(object == nullptr ? none : *object, source);
  RefuseUnread(rope);

  RopeConfig& config = model.rope;
  config.kind = KindOf(rope);
  config.theta = Above(rope.Has("rope_theta") ? rope : fields, "rope_theta", 1.0, default_theta);
  config.dim = model.head_dim;
  if (config.dim % 2 != 0)
    throw core::BadInput("{}: rotary embeddings need an even head_dim, it is {}", fields.source(),
                         config.dim);
  CheckPartialFactor(fields, rope, parsed);

  const int64_t positions = model.max_position_embeddings;
  model.context_length = positions;
  config.original_max_position = positions;
  if (config.kind == RopeKind::kYarn || config.kind == RopeKind::kLlama3) {
    constexpr std::string_view kOriginal = "original_max_position_embeddings";
    config.original_max_position =
        SizeOr(fields.Has(kOriginal) ? fields : rope, kOriginal, positions, kMaxPositions);
  }
  switch (config.kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear:
      config.factor = Above(rope, "factor", 0.0, std::nullopt);
      break;
    case RopeKind::kDynamic:
      // The exponent dim / (dim - 2) has no value for dim 2; below factor 1 the base can turn
      // negative.
      if (config.dim < 4)
        throw core::BadInput("{}: rope_type dynamic needs a head_dim of at least 4, it is {}",
                             rope.source(), config.dim);
      config.factor = rope.Number("factor").value_or(0.0);
      if (!(config.factor >= 1.0))
        throw core::BadInput("{}: field factor is {}, must be at least 1", rope.source(),
                             config.factor);
      model.context_length = DynamicContext(positions, config.factor);
      break;
    case RopeKind::kYarn:
      ReadYarn(rope, positions, config);
      break;
    case RopeKind::kLlama3:
      ReadLlama3(rope, config);
      break;
  }
}

}  // namespace autodist::arch
