// What a HuggingFace checkpoint is: config.json -> ModelConfig, tensor names -> our names, layout
// and role.
//
// Families are listed in registry.cc; a new model_type is one file and one line there. Everything
// here reads JSON and headers only, never weights, and may be called from any thread.
#ifndef AUTODIST_ARCH_REGISTRY_H_
#define AUTODIST_ARCH_REGISTRY_H_

#include <filesystem>
#include <string>
#include <vector>

#include "autodist/spec/generation_defaults.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/model_tensor.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::arch {

// A checkpoint, understood.
//
// `tensors` holds every tensor the model computes with, in execution order: embedding, layers
// 0..L-1, final norm, head. With config.tied_embedding there is no kHead entry: the head is the
// kTokenEmbedding one.
struct ModelDescription {
  spec::ModelConfig config;
  std::vector<spec::ModelTensor> tensors;
  std::vector<std::string>
      ignored;  // stored tensors that are known and not needed (mask buffers, inv_freq)
  std::vector<std::string>
      remarks;  // what the user should know: unknown tensors, custom code not run, ...
};

// The model_types that are read, sorted.
std::vector<std::string> SupportedModelTypes();

// Reads and validates <model_dir>/config.json, in the hub's form (rope_theta, rope_scaling,
// torch_dtype) or in that of transformers 5 (rope_parameters, dtype). tied_embedding is what the
// flag says (or the family's default): only the stored tensors decide it for good. Throws
// core::Error (bad input) naming file, field and limit.
spec::ModelConfig ParseConfig(const std::filesystem::path& model_dir);

// ParseConfig, and every tensor of the model found in `catalog` with the shape that the
// configuration asks for and type F32, F16 or BF16. Throws core::Error (bad input); all missing
// names stand in one message.
ModelDescription Describe(const std::filesystem::path& model_dir,
                          const spec::TensorCatalog& catalog);

// The special ids that the model's JSON files give. eos_ids: generation_config.json's eos_token_id
// (a number, a list or null), else config.json's; the tokenizer's own eos and pad are not ids but
// words there, and the caller that has the tokenizer adds them. bos_id and pad_id:
// generation_config.json, else config.json; a negative one means none. Throws core::Error (bad
// input) for an eos outside [0, vocab_size) and for bos or pad not below vocab_size.
spec::GenerationDefaults ReadGenerationDefaults(const std::filesystem::path& model_dir,
                                                const spec::ModelConfig& config);

}  // namespace autodist::arch

#endif  // AUTODIST_ARCH_REGISTRY_H_
