#include "autodist/model/decoder.h"

#include <cmath>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/elementwise.h"
#include "autodist/kernels/embedding.h"
#include "autodist/kernels/norm.h"

namespace autodist::model {
namespace {

using core::ConstTensorView;
using core::DType;
using core::TensorView;

kernels::ActivationKind KernelOf(spec::Activation activation) {
  switch (activation) {
    case spec::Activation::kSilu:
      return kernels::ActivationKind::kSilu;
    case spec::Activation::kGelu:
      return kernels::ActivationKind::kGelu;
    case spec::Activation::kGeluTanh:
      return kernels::ActivationKind::kGeluTanh;
    case spec::Activation::kQuickGelu:
      return kernels::ActivationKind::kQuickGelu;
    case spec::Activation::kRelu:
      return kernels::ActivationKind::kRelu;
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Activation");
}

// The rows `which_R`, ascending, of the sequences.
std::vector<kernels::KvSequence> OnlyRows(std::span<const kernels::KvSequence> sequences,
                                          std::span<const int64_t> which_R) {
  std::vector<kernels::KvSequence> chosen;
  auto sequence = sequences.begin();
  for (const int64_t row : which_R) {
    while (row >= sequence->row + sequence->tokens) ++sequence;
    chosen.push_back(*sequence);
    chosen.back().row = row;
    chosen.back().tokens = 1;
    chosen.back().first_position += row - sequence->row;
  }
  return chosen;
}

// The rows `which_R`, ascending, become the first ones.
TensorView KeepRows(device::Stream& stream, std::span<const int64_t> which_R, TensorView x_TD) {
  const auto count = static_cast<int64_t>(which_R.size());
  for (int64_t r = 0; r < count; ++r) {
    const int64_t row = which_R[static_cast<size_t>(r)];
    if (row != r) kernels::Convert(stream, x_TD.Rows(row, 1), x_TD.Rows(r, 1));
  }
  return x_TD.Rows(0, count);
}

}  // namespace

Decoder::Decoder(const spec::ModelConfig& config, DType compute_dtype, int64_t max_positions,
                 DecoderShare share, DecoderParts parts)
    : config_(config),
      compute_dtype_(compute_dtype),
      share_(std::move(share)),
      parts_(std::move(parts)),
      rotary_(config, max_positions) {}

TensorView Decoder::Scratch(Slab slab, DType dtype, int64_t rows, int64_t cols) {
  const size_t bytes = static_cast<size_t>(rows * cols) * core::SizeOf(dtype);
  if (slabs_[slab].bytes() < bytes) slabs_[slab] = device::Buffer(bytes);
  return {slabs_[slab].data(), dtype, rows, cols};
}

void Decoder::Norm(device::Stream& stream, const NormWeights& norm, ConstTensorView x_TD,
                   TensorView y_TD) {
  const auto epsilon = static_cast<float>(config_.norm_epsilon);
  if (config_.norm == spec::NormKind::kRms) {
    kernels::RmsNorm(stream, x_TD, norm.weight, epsilon, y_TD);
  } else {
    kernels::LayerNorm(stream, x_TD, norm.weight, norm.bias, epsilon, y_TD);
  }
}

void Decoder::Embed(device::Stream& stream, const DecoderRows& rows, TensorView x_TD) {
  AUTODIST_CHECK(first());
  const auto count = static_cast<int64_t>(rows.ids.size());
  if (parts_.project_in == nullptr) {
    parts_.embedding->Forward(stream, rows.ids, x_TD);
  } else {
    const TensorView wide = Scratch(kOutput, DType::kF32, count, parts_.embedding->width());
    parts_.embedding->Forward(stream, rows.ids, wide);
    const TensorView input = Scratch(kInput, compute_dtype_, count, wide.cols());
    kernels::Convert(stream, wide, input);
    parts_.project_in->Forward(stream, input, x_TD);
  }
  if (parts_.positions.elements() == 0) return;
  std::vector<int32_t> table_rows(rows.positions.begin(), rows.positions.end());
  for (int32_t& row : table_rows) row += static_cast<int32_t>(config_.learned_position_offset);
  kernels::AddRows(stream, table_rows, parts_.positions, x_TD);
}

TensorView Decoder::Layers(device::Stream& stream, const DecoderRows& rows, const KvView& kv,
                           std::span<const int64_t> which_R, TensorView x_TD) {
  TensorView input = Scratch(kInput, compute_dtype_, x_TD.rows(), config_.hidden_size);
  const size_t layers = parts_.layers.size();
  const bool choose = last() && static_cast<int64_t>(which_R.size()) < x_TD.rows();
  if (config_.norm_before && layers > 0)
    Norm(stream, parts_.layers.front().attention_norm, x_TD, input);
  for (size_t layer = 0; layer < layers; ++layer) {
    const DecoderLayer& weights = parts_.layers[layer];
    const device::OpScope group(stream.log(), [&] {
      return device::OpCost{
          .name = "layer",
          .rows = x_TD.rows(),
          .layer = static_cast<int32_t>(share_.first_layer) + static_cast<int32_t>(layer)};
    });
    if (!config_.norm_before) kernels::Convert(stream, x_TD, input);
    TensorView mixed;
    if (choose && layer + 1 == layers) {
      mixed = KeepRows(stream, which_R, Attention(stream, layer, rows, kv, &which_R, input));
      x_TD = KeepRows(stream, which_R, x_TD);
      input = input.Rows(0, x_TD.rows());
      if (which_R.empty()) break;
    } else {
      mixed = Attention(stream, layer, rows, kv, nullptr, input);
    }
    if (config_.norm_before) {
      AddProjected(stream, *weights.attention_output, mixed, x_TD, input, &weights.mlp_norm);
      const NormWeights* const next =
          layer + 1 < layers ? &parts_.layers[layer + 1].attention_norm : nullptr;
      // Rows can only be chosen of an x that is not spread over the ranks.
      const bool whole = choose && layer + 2 == layers;
      FeedForward(stream, layer, x_TD, input, whole ? nullptr : next);
      if (whole) Norm(stream, *next, x_TD, input);
    } else {
      AddProjected(stream, *weights.attention_output, mixed, x_TD, input, nullptr);
      Norm(stream, weights.attention_norm, x_TD, x_TD);
      kernels::Convert(stream, x_TD, input);
      FeedForward(stream, layer, x_TD, input, nullptr);
      Norm(stream, weights.mlp_norm, x_TD, x_TD);
    }
  }
  return x_TD;
}

TensorView Decoder::Attention(device::Stream& stream, size_t layer, const DecoderRows& rows,
                              const KvView& kv, const std::span<const int64_t>* only_R,
                              TensorView input_TD) {
  const DecoderLayer& weights = parts_.layers[layer];
  const int64_t head_dim = config_.head_dim;
  const int64_t q_cols = static_cast<int64_t>(share_.kv_head_of_q.size()) * head_dim;
  const int64_t kv_cols = share_.kv_heads * head_dim;
  const TensorView qkv = Scratch(kQkv, DType::kF32, input_TD.rows(), q_cols + 2 * kv_cols);
  weights.qkv->Forward(stream, input_TD, qkv);
  const TensorView q = qkv.Cols(0, q_cols);
  const TensorView k = qkv.Cols(q_cols, kv_cols);
  const TensorView v = qkv.Cols(q_cols + kv_cols, kv_cols);
  if (config_.qk_norm) {
    const auto epsilon = static_cast<float>(config_.norm_epsilon);
    kernels::RmsNorm(stream, q, weights.q_norm, epsilon, q);
    kernels::RmsNorm(stream, k, weights.k_norm, epsilon, k);
  }
  // q and k lie side by side: one call turns the heads of both.
  rotary_.Apply(stream, rows.positions, rows.rope_lengths, qkv.Cols(0, q_cols + kv_cols));

  const auto index = static_cast<int64_t>(layer);
  const auto global = static_cast<size_t>(share_.first_layer + index);
  double scale = config_.attention_scale;
  if (!config_.layer_attention_scale.empty()) scale *= config_.layer_attention_scale[global];
  const auto sequences = kv.Sequences(index);
  kernels::KvWrite(stream, k, v, sequences, kv.layout());
  const TensorView mixed = Scratch(kMixed, compute_dtype_, input_TD.rows(), q_cols);
  const kernels::AttentionOptions options = {
      .scale = static_cast<float>(scale),
      .sliding_window = config_.layer_window.empty() ? 0 : config_.layer_window[global],
      .kv_head_of_q = share_.kv_head_of_q};
  if (only_R == nullptr) {
    kernels::Attention(stream, q, sequences, kv.layout(), options, mixed);
  } else {
    kernels::Attention(stream, q, OnlyRows(sequences, *only_R), kv.layout(), options, mixed);
  }
  return mixed;
}

void Decoder::AddProjected(device::Stream& stream, parallel::Linear& projection,
                           ConstTensorView projected, TensorView x_TD, TensorView input_TD,
                           const NormWeights* then) {
  if (then == nullptr) {
    projection.ForwardAdd(stream, projected, x_TD);
  } else {
    projection.ForwardAddMap(
        stream, projected, x_TD,
        [&](ConstTensorView x, TensorView input) { Norm(stream, *then, x, input); }, input_TD);
  }
}

void Decoder::FeedForward(device::Stream& stream, size_t layer, TensorView x_TD,
                          TensorView input_TD, const NormWeights* then) {
  const DecoderLayer& weights = parts_.layers[layer];
  const int64_t rows = input_TD.rows();
  const TensorView gate_up =
      Scratch(kGateUp, DType::kF32, rows, share_.ffn * (config_.gated_mlp ? 2 : 1));
  const TensorView activated = Scratch(kActivated, compute_dtype_, rows, share_.ffn);
  const kernels::ActivationKind kind = KernelOf(config_.activation);
  if (config_.gated_mlp) {
    weights.gate_up->ForwardGated(stream, input_TD, kind, gate_up, activated);
  } else {
    weights.gate_up->Forward(stream, input_TD, gate_up);
    kernels::Activate(stream, kind, gate_up, activated);
  }
  AddProjected(stream, *weights.down, activated, x_TD, input_TD, then);
}

void Decoder::Logits(device::Stream& stream, ConstTensorView x_RD, TensorView logits_RV) {
  AUTODIST_CHECK(last());
  const int64_t count = x_RD.rows();
  TensorView input = Scratch(kInput, compute_dtype_, count, config_.hidden_size);
  if (parts_.final_norm.weight.elements() > 0) {
    Norm(stream, parts_.final_norm, x_RD, input);
  } else {
    kernels::Convert(stream, x_RD, input);
  }
  if (parts_.project_out != nullptr) {
    const TensorView narrow = Scratch(kOutput, DType::kF32, count, parts_.project_out->outputs());
    parts_.project_out->Forward(stream, input, narrow);
    input = Scratch(kInput, compute_dtype_, count, narrow.cols());
    kernels::Convert(stream, narrow, input);
  }
  parts_.head->Forward(stream, input, logits_RV);
}

}  // namespace autodist::model
