// The dimensions of public models, so that questions about their shape need no file.
#ifndef AUTODIST_ARCH_KNOWN_MODELS_H_
#define AUTODIST_ARCH_KNOWN_MODELS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/spec/model_config.h"
#include "autodist/spec/overlap.h"

namespace autodist::arch {

// The hub's names, sorted: "Qwen/Qwen3-8B".
std::vector<std::string> KnownModelNames();

// By the hub's name, or by its part after the '/', in any case; nullopt when there is none.
std::optional<spec::OverlapModel> FindKnownModel(std::string_view name);

// The same of a dense model that was read from its config.json.
spec::OverlapModel OverlapModelOf(const spec::ModelConfig& config, std::string name);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_KNOWN_MODELS_H_
