// One configurable decoder: the part of a transformer that one pipeline stage holds.
//
// Single-device math against the Linear interface: it knows neither ranks nor families. A stage of
// a model split over tp ranks is built with fewer heads, a narrower feed-forward and Linears that
// reduce; the code is the same.
//
//   x = embed(ids) (+ positions)
//   per layer, norm_before:  x += o(attention(norm(x))); x += down(act(gate(norm x)) * up(norm x))
//   per layer, otherwise:    x = norm(x + o(attention(x))); x = norm(x + down(act(up(x))))
//   logits = head(norm(x))
//
// Shapes: T rows (tokens of all sequences of a call), D hidden_size, V the head rows of this rank.
// The residual x [T, D] is f32; inputs of matrix products are in the compute dtype.
#ifndef AUTODIST_MODEL_DECODER_H_
#define AUTODIST_MODEL_DECODER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/model/kv_view.h"
#include "autodist/model/rotary.h"
#include "autodist/parallel/linear.h"
#include "autodist/parallel/vocab_parallel_embedding.h"
#include "autodist/spec/model_config.h"

namespace autodist::model {

// Views into the loaded shard, f32 [1, D]; the bias is empty for RMS norms.
struct NormWeights {
  core::ConstTensorView weight;
  core::ConstTensorView bias;
};

struct DecoderLayer {
  NormWeights attention_norm;
  NormWeights mlp_norm;
  core::ConstTensorView q_norm;  // [1, head_dim], or empty
  core::ConstTensorView k_norm;
  std::unique_ptr<parallel::Linear> qkv;  // outputs: q heads, then k heads, then v heads
  std::unique_ptr<parallel::Linear> attention_output;
  std::unique_ptr<parallel::Linear> gate_up;  // outputs: gate, then up; or up alone
  std::unique_ptr<parallel::Linear> down;
};

// What the stage holds. The memory behind the views must outlive the decoder.
struct DecoderParts {
  // First stage only.
  std::unique_ptr<parallel::VocabParallelEmbedding> embedding;
  std::unique_ptr<parallel::Linear> project_in;  // null: the embedding is as wide as the residual
  core::ConstTensorView positions;               // [rows, D] of learned positions, or empty
  std::vector<DecoderLayer> layers;
  // Last stage only.
  NormWeights final_norm;                         // empty: none
  std::unique_ptr<parallel::Linear> project_out;  // null: none
  std::unique_ptr<parallel::Linear> head;
};

// How much of each layer is computed here.
struct DecoderShare {
  int64_t first_layer = 0;
  std::vector<int32_t> kv_head_of_q;  // per local q head, its local kv head
  int64_t kv_heads = 0;
  int64_t ffn = 0;
};

// The rows of one forward call. All spans have one entry per row.
struct DecoderRows {
  std::span<const int32_t> ids;        // read by the first stage
  std::span<const int32_t> positions;  // of each token in its sequence
  // Length that dynamic rope sees: of the whole prompt for its tokens, position + 1 for generated
  // ones.
  std::span<const int32_t> rope_lengths;
};

class Decoder {
 public:
  // `config` must outlive it. max_positions: the longest sequence (sizes the rope table).
  Decoder(const spec::ModelConfig& config, core::DType compute_dtype, int64_t max_positions,
          DecoderShare share, DecoderParts parts);

  bool first() const { return parts_.embedding != nullptr; }
  bool last() const { return parts_.head != nullptr; }

  // x = embedding of the rows. REQUIRES first().
  void Embed(device::Stream& stream, const DecoderRows& rows, core::TensorView x_TD);
  // All layers of the stage, x in place. The keys and values of the rows are written to the cache
  // first. The result is x; but on the last stage only the rows `which`, ascending, which become
  // its first ones: nothing else of the last layer is computed of the others than keys and values.
  core::TensorView Layers(device::Stream& stream, const DecoderRows& rows, const KvView& kv,
                          std::span<const int64_t> which_R, core::TensorView x_TD);
  // Logits of the rows that the last stage's Layers() left. REQUIRES last(). Shapes: x [R, D],
  // logits [R, V] f32.
  void Logits(device::Stream& stream, core::ConstTensorView x_RD, core::TensorView logits_RV);
  int64_t logit_columns() const { return parts_.head->outputs(); }

 private:
  // The heads' mixed values of the rows, or of `only` some (a span of rows; the others' results are
  // arbitrary), before they are projected. Keys and values of all go to the cache.
  core::TensorView Attention(device::Stream& stream, size_t layer, const DecoderRows& rows,
                             const KvView& kv, const std::span<const int64_t>* only_R,
                             core::TensorView input_TD);
  // x += the layer's half, computed from input. With `then`, input becomes then(x), and x may be
  // spread over the ranks (parallel::Linear::ForwardAddMap).
  void FeedForward(device::Stream& stream, size_t layer, core::TensorView x_TD,
                   core::TensorView input_TD, const NormWeights* then);
  void AddProjected(device::Stream& stream, parallel::Linear& projection,
                    core::ConstTensorView projected, core::TensorView x_TD,
                    core::TensorView input_TD, const NormWeights* then);
  void Norm(device::Stream& stream, const NormWeights& norm, core::ConstTensorView x_TD,
            core::TensorView y_TD);

  // Working memory by purpose; grows to the largest call and stays.
  enum Slab { kInput, kQkv, kMixed, kGateUp, kActivated, kOutput, kSlabs };
  core::TensorView Scratch(Slab slab, core::DType dtype, int64_t rows, int64_t cols);

  const spec::ModelConfig& config_;
  core::DType compute_dtype_;
  DecoderShare share_;
  DecoderParts parts_;
  Rotary rotary_;
  device::Buffer slabs_[kSlabs];
};

}  // namespace autodist::model

#endif  // AUTODIST_MODEL_DECODER_H_
