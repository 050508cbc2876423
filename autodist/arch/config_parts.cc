#include "autodist/arch/config_parts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// The names that transformers gives to the five functions we compute.
struct NamedActivation {
  std::string_view name;
  spec::Activation activation;
};
constexpr NamedActivation kActivations[] = {{"silu", spec::Activation::kSilu},
                                            {"swish", spec::Activation::kSilu},
                                            {"gelu", spec::Activation::kGelu},
                                            {"gelu_python", spec::Activation::kGelu},
                                            {"gelu_new", spec::Activation::kGeluTanh},
                                            {"gelu_fast", spec::Activation::kGeluTanh},
                                            {"gelu_accurate", spec::Activation::kGeluTanh},
                                            {"gelu_pytorch_tanh", spec::Activation::kGeluTanh},
                                            {"gelu_python_tanh", spec::Activation::kGeluTanh},
                                            {"quick_gelu", spec::Activation::kQuickGelu},
                                            {"relu", spec::Activation::kRelu}};

}  // namespace

int64_t SizeOr(const core::JsonFields& fields, std::string_view name, int64_t otherwise,
               int64_t max) {
  return fields.Int(name, 1, max).value_or(otherwise);
}

double NormEpsilon(const core::JsonFields& fields, std::string_view name, double otherwise) {
  const double epsilon = fields.Number(name).value_or(otherwise);
  if (!(epsilon >= 0.0 && epsilon < 1.0))
    throw core::BadInput("{}: field {} is {}, must be at least 0 and below 1", fields.source(),
                         name, epsilon);
  return epsilon;
}

spec::Activation ActivationOf(const core::JsonFields& fields, std::string_view name,
                              std::string_view otherwise) {
  const std::string word = fields.String(name).value_or(std::string(otherwise));
  std::vector<std::string> known;
  for (const NamedActivation& entry : kActivations) {
    if (entry.name == word) return entry.activation;
    known.emplace_back(entry.name);
  }
  throw core::BadInput("{}: unsupported {} {}; nearest supported: {}; supported: {}",
                       fields.source(), name, Quoted(word), Nearest(word, known),
                       fmt::join(known, ", "));
}

void ReadHeads(const core::JsonFields& fields, std::string_view heads, std::string_view kv_heads,
               spec::ModelConfig& config) {
  AUTODIST_CHECK_GT(config.hidden_size, 0);
  config.num_heads = fields.RequiredInt(heads, 1, kMaxHeads);
  config.num_kv_heads = SizeOr(fields, kv_heads, config.num_heads, kMaxHeads);
  if (config.num_heads % config.num_kv_heads != 0)
    throw core::BadInput("{}: field {} is {}, must divide {} = {}", fields.source(), kv_heads,
                         config.num_kv_heads, heads, config.num_heads);
  const auto head_dim = fields.Int("head_dim", 1, kMaxHeadDim);
  if (!head_dim && config.hidden_size % config.num_heads != 0)
    throw core::BadInput(
        "{}: field {} is {}, must divide the hidden size {} (there is no head_dim)",
        fields.source(), heads, config.num_heads, config.hidden_size);
  config.head_dim = head_dim.value_or(config.hidden_size / config.num_heads);
  if (config.head_dim > kMaxHeadDim)
    throw core::BadInput(
        "{}: the hidden size {} over {} heads gives a head_dim of {}, must be at most {}",
        fields.source(), config.hidden_size, config.num_heads, config.head_dim, kMaxHeadDim);
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
}

void ReadLayerWindows(const core::JsonFields& fields, int64_t window, int64_t first_windowed,
                      spec::ModelConfig& config) {
  const size_t layers = static_cast<size_t>(config.num_layers);
  config.layer_window.assign(layers, 0);
  const core::Json* types = fields.Find("layer_types");
  if (types == nullptr) {
    for (size_t i = 0; i < layers; ++i)
      if (static_cast<int64_t>(i) >= first_windowed) config.layer_window[i] = window;
    return;
  }
  if (!types->is_array() || types->size() != layers)
    throw core::BadInput("{}: field layer_types must be a list of {} words, one per layer",
                         fields.source(), layers);
  for (size_t i = 0; i < layers; ++i) {
    const core::Json& type = (*types)[i];
    if (type == "full_attention") continue;
    if (type != "sliding_attention")
      throw core::BadInput(
          "{}: unsupported attention type {} of layer {} in layer_types; supported: "
          "full_attention, "
          "sliding_attention",
          fields.source(), core::DumpJson(type).substr(0, 60), i);
    if (window == 0)
      throw core::BadInput(
          "{}: layer {} is sliding_attention in layer_types, but no sliding window is in use "
          "(fields sliding_window, use_sliding_window)",
          fields.source(), i);
    config.layer_window[i] = window;
  }
}

void ReadDType(const core::JsonFields& fields, ParsedConfig& parsed) {
  for (const std::string_view name : {"dtype", "torch_dtype"}) {
    auto word = fields.String(name);
    if (!word || *word == "auto") continue;
    if (word->starts_with("torch.")) word->erase(0, 6);
    parsed.dtype_given = true;
    if (*word == "float32") {
      parsed.config.checkpoint_dtype = core::DType::kF32;
    } else if (*word == "float16") {
      parsed.config.checkpoint_dtype = core::DType::kF16;
    } else if (*word == "bfloat16") {
      parsed.config.checkpoint_dtype = core::DType::kBF16;
    } else {
      throw core::BadInput("{}: field {} is {}, must be float32, float16 or bfloat16",
                           fields.source(), name, Quoted(*word));
    }
    return;
  }
}

std::string Nearest(std::string_view word, const std::vector<std::string>& known) {
  AUTODIST_CHECK(!known.empty());
  // A name of a megabyte would cost a quadratic table; its beginning decides as well.
  const std::string_view start = word.substr(0, 64);
  return *std::min_element(known.begin(), known.end(),
                           [&](const std::string& a, const std::string& b) {
                             return EditDistance(start, a) < EditDistance(start, b);
                           });
}

std::string Quoted(std::string_view word) {
  return core::DumpJson(core::Json(std::string(word.substr(0, 80))));
}

}  // namespace autodist::arch
