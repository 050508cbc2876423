#include "autodist/spec/model_tensor.h"

#include <fmt/format.h>

#include "autodist/core/check.h"

namespace autodist::spec {

std::string_view NameOf(Slot slot) {
  switch (slot) {
    case Slot::kTokenEmbedding:
      return "token_embedding";
    case Slot::kPositionEmbedding:
      return "position_embedding";
    case Slot::kProjectIn:
      return "project_in";
    case Slot::kAttentionNorm:
      return "attention_norm";
    case Slot::kQ:
      return "q";
    case Slot::kK:
      return "k";
    case Slot::kV:
      return "v";
    case Slot::kQNorm:
      return "q_norm";
    case Slot::kKNorm:
      return "k_norm";
    case Slot::kAttentionOutput:
      return "attention_output";
    case Slot::kMlpNorm:
      return "mlp_norm";
    case Slot::kGate:
      return "gate";
    case Slot::kUp:
      return "up";
    case Slot::kDown:
      return "down";
    case Slot::kFinalNorm:
      return "final_norm";
    case Slot::kProjectOut:
      return "project_out";
    case Slot::kHead:
      return "head";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Slot");
}

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kColumn:
      return "column";
    case Role::kRow:
      return "row";
    case Role::kReplicated:
      return "replicated";
    case Role::kVocab:
      return "vocab";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Role");
}

std::string ToString(const TensorId& id) {
  const std::string_view part = id.part == Part::kWeight ? "weight" : "bias";
  if (id.layer < 0) return fmt::format("{}.{}", NameOf(id.slot), part);
  return fmt::format("layers.{}.{}.{}", id.layer, NameOf(id.slot), part);
}

}  // namespace autodist::spec
