#include "autodist/planner/memory_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace autodist::planner {
namespace {

constexpr int64_t kPanelRows = 64;
constexpr int64_t kBf16Columns = 32;
constexpr uint64_t kF32Bytes = 4;

int64_t RoundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// Saturates far below 2^64, so that absurd requests are refused for their size instead of wrapping
// around.
uint64_t Product(std::initializer_list<int64_t> factors) {
  constexpr uint64_t kLimit = uint64_t{1} << 60;
  uint64_t product = 1;
  for (const int64_t factor : factors)
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(factor), &product) ||
        product > kLimit)
      return kLimit;
  return product;
}

uint64_t NormBytes(const spec::ModelConfig& config, int64_t width) {
  const uint64_t vectors = config.norm == spec::NormKind::kLayer ? 2 : 1;
  return vectors * static_cast<uint64_t>(width) * kF32Bytes;
}

// Rows of tokens that one forward call carries.
int64_t ForwardRows(const RunShape& shape) {
  const int64_t prompt_rows = std::min(shape.prefill_chunk, shape.max_model_len);
  return std::max(prompt_rows, shape.micro_batch_size);
}

// The decoder's work areas (model/decoder.cc) at the largest number of rows, the table of rotary
// angles, and the logits of one position of each sequence. f32, but for the inputs of products,
// which are in the compute type.
uint64_t ActivationBytes(const spec::ModelConfig& config, const RankPart& part,
                         const RunShape& shape) {
  const int64_t hidden = std::max(config.hidden_size, config.embedding_size);
  const int64_t q = part.share.q_heads.size() * config.head_dim;
  const int64_t kv = part.share.kv_heads.size() * config.head_dim;
  const int64_t ffn = part.share.ffn.size();
  const int64_t f32_width =
      2 * hidden /* residual, output */ + q + 2 * kv + (config.gated_mlp ? 2 : 1) * ffn;
  const int64_t input_width = hidden + q + ffn;
  const int64_t element = static_cast<int64_t>(core::SizeOf(shape.compute_dtype));
  uint64_t bytes = Product({ForwardRows(shape), f32_width * 4 + input_width * element});
  if (config.position == spec::PositionKind::kRope)
    bytes += Product({shape.max_model_len, config.rope.dim}) * kF32Bytes;
  if (part.last_stage)
    bytes += Product({shape.micro_batch_size, part.share.vocab.size()}) * kF32Bytes;
  return bytes;
}

// Two messages in flight in each group that the rank belongs to.
uint64_t BufferBytes(const spec::ModelConfig& config, const RankPart& part, const RunShape& shape) {
  const bool pipeline = !(part.first_stage && part.last_stage);
  const uint64_t message = Product({ForwardRows(shape), config.hidden_size}) * kF32Bytes;
  return 2 * message * (static_cast<uint64_t>(part.tp_peers) + static_cast<uint64_t>(pipeline));
}

}  // namespace

uint64_t PackedMatrixBytes(int64_t rows, spec::Range cols, core::WeightFormat format) {
  const int64_t padded_rows = RoundUp(rows, kPanelRows);
  if (core::IsQuantised(format)) {
    constexpr int64_t kGroup = core::kGroupInputs;
    const int64_t groups = (RoundUp(cols.last, kGroup) - cols.first / kGroup * kGroup) / kGroup;
    const auto group_bytes = static_cast<int64_t>(kGroup * core::BitsPerWeight(format) / 8);
    return cols.size() == 0 ? 0 : Product({padded_rows, groups, group_bytes});
  }
  const bool bf16 = format == core::WeightFormat::kBF16;
  return Product({padded_rows, bf16 ? RoundUp(cols.size(), kBf16Columns) : cols.size(),
                  static_cast<int64_t>(core::BitsPerWeight(format)) / 8});
}

uint64_t LayerWeightBytes(const spec::ModelConfig& config, const spec::TpShare& share,
                          core::WeightFormat format) {
  const int64_t hidden = config.hidden_size;
  const int64_t q = share.q_heads.size() * config.head_dim;
  const int64_t kv = share.kv_heads.size() * config.head_dim;
  const int64_t ffn = share.ffn.size();
  const int64_t gate_up = config.gated_mlp ? 2 * ffn : ffn;
  const spec::Range q_inputs = {share.q_heads.first * config.head_dim,
                                share.q_heads.last * config.head_dim};
  uint64_t bytes = PackedMatrixBytes(q + 2 * kv, {0, hidden}, format) +
                   PackedMatrixBytes(hidden, q_inputs, format) +
                   PackedMatrixBytes(gate_up, {0, hidden}, format) +
                   PackedMatrixBytes(hidden, share.ffn, format);
  int64_t biases = 0;
  if (config.qkv_bias) biases += q + 2 * kv;
  if (config.attention_output_bias) biases += hidden;
  if (config.mlp_bias) biases += gate_up + hidden;
  bytes += static_cast<uint64_t>(biases) * kF32Bytes + 2 * NormBytes(config, hidden);
  if (config.qk_norm) bytes += Product({2, config.head_dim}) * kF32Bytes;
  return bytes;
}

uint64_t VocabTableBytes(const spec::ModelConfig& config, const spec::TpShare& share,
                         core::WeightFormat format) {
  return PackedMatrixBytes(share.vocab.size(), {0, config.embedding_size}, format);
}

uint64_t WeightBytes(const spec::ModelConfig& config, const RankPart& part,
                     core::WeightFormat format) {
  const bool projected = config.embedding_size != config.hidden_size;
  uint64_t bytes =
      static_cast<uint64_t>(part.layers.size()) * LayerWeightBytes(config, part.share, format);
  if (part.first_stage) {
    bytes += VocabTableBytes(config, part.share, format);
    bytes += Product({config.learned_position_rows, config.hidden_size}) * kF32Bytes;
    if (projected)
      bytes += PackedMatrixBytes(config.hidden_size, {0, config.embedding_size}, format);
  }
  if (part.last_stage) {
    if (config.final_norm) bytes += NormBytes(config, config.hidden_size);
    if (projected)
      bytes += PackedMatrixBytes(config.embedding_size, {0, config.hidden_size}, format);
    if (!(config.tied_embedding && part.first_stage))
      bytes += VocabTableBytes(config, part.share, format);
  }
  return bytes;
}

uint64_t KvCacheBytes(const spec::ModelConfig& config, const RankPart& part,
                      const RunShape& shape) {
  return Product({2, part.layers.size(), part.share.kv_heads.size(), config.head_dim,
                  RoundUp(shape.max_model_len, kTokensPerPage), shape.batch_size,
                  static_cast<int64_t>(core::SizeOf(shape.compute_dtype))});
}

uint64_t StepReadBytes(const spec::ModelConfig& config, const RankPart& part,
                       const RunShape& shape) {
  uint64_t weights = WeightBytes(config, part, shape.weight_format());
  if (part.first_stage) {
    weights -= Product({config.learned_position_rows, config.hidden_size}) * kF32Bytes;
    if (!(config.tied_embedding && part.last_stage))
      weights -= VocabTableBytes(config, part.share, shape.weight_format());
  }
  RunShape micro_batch = shape;
  micro_batch.batch_size = std::min(shape.micro_batch_size, shape.batch_size);
  return weights + KvCacheBytes(config, part, micro_batch) / 2;
}

spec::RankBytes EstimateRank(const spec::ModelConfig& config, const RankPart& part,
                             const RunShape& shape) {
  spec::RankBytes bytes;
  bytes.weights = WeightBytes(config, part, shape.weight_format());
  bytes.kv_cache = KvCacheBytes(config, part, shape);
  bytes.activations = ActivationBytes(config, part, shape);
  bytes.buffers = BufferBytes(config, part, shape);
  return bytes;
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}) {
    if (value < 1024.0) break;
    value /= 1024.0;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", value, value < 10.0 ? 2 : (value < 100.0 ? 1 : 0), unit);
}

}  // namespace autodist::planner
