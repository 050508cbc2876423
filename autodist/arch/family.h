// What a family's file provides to the registry. For arch/ only.
#ifndef AUTODIST_ARCH_FAMILY_H_
#define AUTODIST_ARCH_FAMILY_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/arch/tensor_list.h"
#include "autodist/core/json.h"
#include "autodist/spec/model_config.h"

namespace autodist::arch {

// config.json, and what ModelConfig has no room for.
struct ParsedConfig {
  spec::ModelConfig config;
  std::optional<bool> tie_flag;  // tie_word_embeddings when the file has it
  bool dtype_given = false;      // the file names a type; else the stored embedding's is taken
  std::vector<std::string> remarks;
};

struct Family {
  std::string_view model_type;
  // Fills everything but model_type, tie and dtype. Throws core::Error (bad input).
  void (*parse)(const core::JsonFields& fields, ParsedConfig& parsed);
  bool tied_by_default = false;  // when config.json has no tie_word_embeddings
  // transformers stores names with this prefix; files saved from the bare model lack it.
  std::string_view prefix;
  void (*list_tensors)(TensorList& list);
  // Endings of stored names that carry nothing (buffers of old versions).
  std::vector<std::string_view> ignored_endings;
};

Family Llama();
Family Mistral();
Family Qwen2();
Family Qwen3();
Family Gpt2();
Family Opt();

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_FAMILY_H_
