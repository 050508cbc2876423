// The tensors of a decoder under our own names, and where each lies in the checkpoint.
//
// Fused and transposed storage is resolved here: one entry is one logical matrix [rows = outputs,
// cols = inputs], so that cutting it is cutting a rectangle. Everything after arch/ works with
// these entries only.
#ifndef AUTODIST_SPEC_MODEL_TENSOR_H_
#define AUTODIST_SPEC_MODEL_TENSOR_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "autodist/core/dtype.h"

namespace autodist::spec {

enum class Slot : uint8_t {
  kTokenEmbedding,
  kPositionEmbedding,
  kProjectIn,
  kAttentionNorm,
  kQ,
  kK,
  kV,
  kQNorm,
  kKNorm,
  kAttentionOutput,
  kMlpNorm,
  kGate,
  kUp,
  kDown,
  kFinalNorm,
  kProjectOut,
  kHead,
};

enum class Part : uint8_t { kWeight, kBias };

// How a tensor is cut over the tp axis (DESIGN section 2).
enum class Role : uint8_t {
  kColumn,  // rows (outputs) are split
  kRow,     // cols (inputs) are split; partial sums are reduced; its bias is whole on every rank,
            // added once
  kReplicated,  // whole on every rank of the stage
  kVocab,       // rows of the embedding or head are split
};

struct TensorId {
  Slot slot;
  Part part = Part::kWeight;
  int layer = -1;  // global layer index; -1 outside the layers
  auto operator<=>(const TensorId&) const = default;
};

struct ModelTensor {
  TensorId id;
  Role role = Role::kReplicated;
  int64_t rows = 0;  // outputs; the length of a vector
  int64_t cols = 1;  // inputs; 1 for a vector
  bool vector = false;
  std::string source;                      // name in the checkpoint
  core::DType stored = core::DType::kF32;  // type in the checkpoint: f32, f16 or bf16
  bool transposed = false;                 // stored [inputs, outputs] (GPT-2's Conv1D)
  int64_t source_row = 0;                  // first output of this tensor inside a fused source
};

std::string_view NameOf(Slot slot);        // "token_embedding", "q", "attention_output", ...
std::string_view NameOf(Role role);        // "column", "row", "replicated", "vocab"
std::string ToString(const TensorId& id);  // "layers.3.q.weight"

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_MODEL_TENSOR_H_
