// Small models for tests of planner/, made by hand: configuration and tensors as arch/ would give
// them.
#ifndef AUTODIST_PLANNER_TESTING_EXAMPLE_MODEL_H_
#define AUTODIST_PLANNER_TESTING_EXAMPLE_MODEL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/model_tensor.h"

namespace autodist::planner::testing {

struct ExampleModel {
  spec::ModelConfig config;
  std::vector<spec::ModelTensor> tensors;
};

// A llama-shaped model: gated, RMS norms, rope; biases on q, k, v and the attention output when
// `bias`.
inline ExampleModel Llama(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads,
                          int64_t head_dim, int64_t ffn, int64_t vocab, bool tied = false,
                          bool bias = false) {
  using spec::Part;
  using spec::Role;
  using spec::Slot;
  ExampleModel model;
  spec::ModelConfig& c = model.config;
  c.model_type = "llama";
  c.hidden_size = c.embedding_size = hidden;
  c.num_layers = layers;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.head_dim = c.rope.dim = head_dim;
  c.ffn_size = ffn;
  c.vocab_size = vocab;
  c.max_position_embeddings = c.context_length = 4096;
  c.tied_embedding = tied;
  c.qkv_bias = c.attention_output_bias = bias;
  const auto add = [&](Slot slot, int layer, Role role, int64_t rows, int64_t cols,
                       Part part = Part::kWeight) {
    spec::ModelTensor tensor;
    tensor.id = {slot, part, layer};
    tensor.role = role;
    tensor.rows = rows;
    tensor.cols = cols;
    tensor.vector = cols == 1;
    tensor.stored = core::DType::kBF16;
    model.tensors.push_back(tensor);
  };
  add(Slot::kTokenEmbedding, -1, Role::kVocab, vocab, hidden);
  for (int layer = 0; layer < layers; ++layer) {
    add(Slot::kAttentionNorm, layer, Role::kReplicated, hidden, 1);
    add(Slot::kQ, layer, Role::kColumn, heads * head_dim, hidden);
    add(Slot::kK, layer, Role::kColumn, kv_heads * head_dim, hidden);
    add(Slot::kV, layer, Role::kColumn, kv_heads * head_dim, hidden);
    add(Slot::kAttentionOutput, layer, Role::kRow, hidden, heads * head_dim);
    if (bias) {
      add(Slot::kQ, layer, Role::kColumn, heads * head_dim, 1, Part::kBias);
      add(Slot::kK, layer, Role::kColumn, kv_heads * head_dim, 1, Part::kBias);
      add(Slot::kV, layer, Role::kColumn, kv_heads * head_dim, 1, Part::kBias);
      add(Slot::kAttentionOutput, layer, Role::kRow, hidden, 1, Part::kBias);
    }
    add(Slot::kMlpNorm, layer, Role::kReplicated, hidden, 1);
    add(Slot::kGate, layer, Role::kColumn, ffn, hidden);
    add(Slot::kUp, layer, Role::kColumn, ffn, hidden);
    add(Slot::kDown, layer, Role::kRow, hidden, ffn);
  }
  add(Slot::kFinalNorm, -1, Role::kReplicated, hidden, 1);
  if (!tied) add(Slot::kHead, -1, Role::kVocab, vocab, hidden);
  return model;
}

// The message of the core::Error (bad input) that `call` throws; a failure of the test when it
// throws none.
template <typename Call>
std::string RefusalOf(Call&& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

}  // namespace autodist::planner::testing

#endif  // AUTODIST_PLANNER_TESTING_EXAMPLE_MODEL_H_
