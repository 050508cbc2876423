// What was understood of a checkpoint: what `autodist inspect` prints.
#ifndef AUTODIST_CLI_INSPECTION_H_
#define AUTODIST_CLI_INSPECTION_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/core/json.h"
#include "autodist/spec/generation_defaults.h"
#include "autodist/spec/tensor_catalog.h"

namespace autodist::cli {

// Tensors that differ in nothing but the layer.
struct TensorPattern {
  std::string name;    // in the checkpoint, "*" for the layer: "model.layers.*.mlp.up_proj.weight"
  std::string tensor;  // under our name: "layers.*.up.weight"
  std::string dtype;   // as stored
  std::vector<int64_t> shape;  // as stored: of the whole tensor when several of ours share it
  std::string role;
  int64_t count = 0;
};

std::vector<TensorPattern> FoldTensors(const std::vector<spec::ModelTensor>& tensors,
                                       const spec::TensorCatalog& catalog);

struct Inspection {
  std::filesystem::path directory;
  spec::TensorCatalog catalog;
  arch::ModelDescription model;
  spec::GenerationDefaults generation;
  core::Json tokenizer;  // an object, with "error" when it cannot be used; null: there is none
};

// Reads JSON files and headers, no weights. Throws core::Error as arch::Describe does.
Inspection Inspect(const std::filesystem::path& model_dir);

core::Json ToJson(const Inspection& inspection);
std::string ToText(const Inspection& inspection);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_INSPECTION_H_
