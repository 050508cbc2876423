// Fields of config.json that families share, each validated as it is read. For arch/ only.
//
// All throw core::Error (bad input) naming file, field and limit.
#ifndef AUTODIST_ARCH_CONFIG_PARTS_H_
#define AUTODIST_ARCH_CONFIG_PARTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/arch/family.h"
#include "autodist/core/json.h"
#include "autodist/spec/model_config.h"

namespace autodist::arch {

// Far above every published model, and far below what would overflow a product of two of them.
inline constexpr int64_t kMaxLayers = 1024;
inline constexpr int64_t kMaxHeads = 1 << 14;
inline constexpr int64_t kMaxHeadDim = 1 << 13;
inline constexpr int64_t kMaxWidth = 1 << 22;  // hidden, ffn, embedding
inline constexpr int64_t kMaxVocabulary = 1 << 26;
inline constexpr int64_t kMaxPositions = int64_t{1} << 31;

// A field with a default, in [1, max].
int64_t SizeOr(const core::JsonFields& fields, std::string_view name, int64_t otherwise,
               int64_t max);

// In [0, 1).
double NormEpsilon(const core::JsonFields& fields, std::string_view name, double otherwise);

// The activation named by field `name`; absent: `otherwise`.
spec::Activation ActivationOf(const core::JsonFields& fields, std::string_view name,
                              std::string_view otherwise);

// num_heads from `heads`, num_kv_heads from `kv_heads` (absent: num_heads), head_dim from head_dim
// (absent: hidden_size / num_heads, which must then divide); attention_scale = head_dim^-0.5.
// REQUIRES: hidden_size is set.
void ReadHeads(const core::JsonFields& fields, std::string_view heads, std::string_view kv_heads,
               spec::ModelConfig& config);

// layer_types of families whose layers see either everything or one window: layer_window is set
// from it. Absent: layers from `first_windowed` on are windowed. window 0: no layer is.
void ReadLayerWindows(const core::JsonFields& fields, int64_t window, int64_t first_windowed,
                      spec::ModelConfig& config);

// torch_dtype or dtype: float32, float16 or bfloat16.
void ReadDType(const core::JsonFields& fields, ParsedConfig& parsed);

// The word of `known` with the smallest edit distance to `word`; `known` is not empty.
std::string Nearest(std::string_view word, const std::vector<std::string>& known);

// `word` for a message: in quotes, control characters escaped, cut after 80 bytes. Words of a
// checkpoint are arbitrary.
std::string Quoted(std::string_view word);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_CONFIG_PARTS_H_
