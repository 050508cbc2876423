#include "autodist/arch/tensor_list.h"

#include <utility>

#include "autodist/core/check.h"

namespace autodist::arch {
namespace {

using spec::Role;
using spec::Slot;

// A tensor of this slot with its logical shape and role, nothing of its storage.
spec::ModelTensor Shaped(const spec::ModelConfig& c, Slot slot, int layer) {
  spec::ModelTensor tensor;
  tensor.id = {slot, spec::Part::kWeight, layer};
  const auto set = [&](Role role, int64_t rows, int64_t cols) {
    tensor.role = role;
    tensor.rows = rows;
    tensor.cols = cols;
  };
  switch (slot) {
    case Slot::kTokenEmbedding:
    case Slot::kHead:
      set(Role::kVocab, c.vocab_size, c.embedding_size);
      break;
    case Slot::kPositionEmbedding:
      set(Role::kReplicated, c.learned_position_rows, c.hidden_size);
      break;
    case Slot::kProjectIn:
      set(Role::kReplicated, c.hidden_size, c.embedding_size);
      break;
    case Slot::kProjectOut:
      set(Role::kReplicated, c.embedding_size, c.hidden_size);
      break;
    case Slot::kQ:
      set(Role::kColumn, c.q_size(), c.hidden_size);
      break;
    case Slot::kK:
    case Slot::kV:
      set(Role::kColumn, c.kv_size(), c.hidden_size);
      break;
    case Slot::kAttentionOutput:
      set(Role::kRow, c.hidden_size, c.q_size());
      break;
    case Slot::kGate:
    case Slot::kUp:
      set(Role::kColumn, c.ffn_size, c.hidden_size);
      break;
    case Slot::kDown:
      set(Role::kRow, c.hidden_size, c.ffn_size);
      break;
    case Slot::kQNorm:
    case Slot::kKNorm:
      set(Role::kReplicated, c.head_dim, 1);
      break;
    case Slot::kAttentionNorm:
    case Slot::kMlpNorm:
    case Slot::kFinalNorm:
      set(Role::kReplicated, c.hidden_size, 1);
      break;
  }
  return tensor;
}

}  // namespace

void TensorList::Linear(Slot slot, int layer, const std::string& name, bool bias,
                        LinearStorage storage) {
  ExpectedTensor weight{Shaped(config_, slot, layer), {}};
  spec::ModelTensor& tensor = weight.tensor;
  const int64_t stored_rows = storage.source_rows > 0 ? storage.source_rows : tensor.rows;
  AUTODIST_CHECK_LE(storage.source_row + tensor.rows, stored_rows);
  tensor.source = name + ".weight";
  tensor.transposed = storage.transposed;
  tensor.source_row = storage.source_row;
  weight.stored_shape = {stored_rows, tensor.cols};
  if (storage.transposed) weight.stored_shape = {tensor.cols, stored_rows};
  entries_.push_back(weight);
  if (!bias) return;
  ExpectedTensor vector = std::move(weight);
  vector.tensor.id.part = spec::Part::kBias;
  vector.tensor.cols = 1;
  vector.tensor.vector = true;
  vector.tensor.transposed = false;
  vector.tensor.source = name + ".bias";
  vector.stored_shape = {stored_rows};
  entries_.push_back(std::move(vector));
}

void TensorList::Norm(Slot slot, int layer, const std::string& name, bool bias) {
  ExpectedTensor entry{Shaped(config_, slot, layer), {}};
  entry.tensor.vector = true;
  entry.tensor.source = name + ".weight";
  entry.stored_shape = {entry.tensor.rows};
  entries_.push_back(entry);
  if (!bias) return;
  entry.tensor.id.part = spec::Part::kBias;
  entry.tensor.source = name + ".bias";
  entries_.push_back(std::move(entry));
}

void TensorList::Table(Slot slot, const std::string& name) {
  ExpectedTensor entry{Shaped(config_, slot, -1), {}};
  entry.tensor.source = name + ".weight";
  entry.stored_shape = {entry.tensor.rows, entry.tensor.cols};
  entries_.push_back(std::move(entry));
}

}  // namespace autodist::arch
