#include "autodist/measure/kernel_rates.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "autodist/core/random.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/attention.h"
#include "autodist/kernels/elementwise.h"
#include "autodist/kernels/norm.h"

namespace autodist::measure {
namespace {

using core::ConstTensorView;
using core::DType;
using core::TensorView;

// Numbers of both signs around 0.02 in f32 and in bf16, as those of a model: with others,
// activations may be slower.
device::Buffer Filled(size_t bytes) {
  constexpr uint16_t kExponent = 0x3c80, kSignAndFraction = 0x807f;
  std::array<uint16_t, 4096> pattern;
  for (size_t i = 0; i < pattern.size(); ++i)
    pattern[i] = static_cast<uint16_t>(kExponent | (core::RandomBits(1, 0, i) & kSignAndFraction));
  device::Buffer buffer(bytes);
  for (size_t done = 0; done < bytes; done += sizeof(pattern))
    std::memcpy(buffer.as<std::byte>() + done, pattern.data(),
                std::min(sizeof(pattern), bytes - done));
  return buffer;
}

size_t Bytes(int64_t rows, int64_t cols, DType dtype) {
  return static_cast<size_t>(rows * cols) * core::SizeOf(dtype);
}

// What products leave of many rows is not in the second-level caches: as many results take turns.
constexpr int64_t kProducts = 4;

// KvWrite() and Attention() over the caches of several layers, each with queries, keys and values
// as a product leaves them: side by side, in kProducts places.
class AttentionWork {
 public:
  struct Shape {
    int64_t heads;
    int64_t kv_heads;
    int64_t head_dim;
    int64_t sequences;
    int64_t rows;   // of each sequence
    int64_t first;  // position of the first row
    size_t bytes;   // of all caches; at least one layer
  };

  AttentionWork(DType dtype, const Shape& shape)
      : shape_(shape),
        layout_{.dtype = dtype, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim},
        dtype_(dtype) {
    const int64_t pages =
        (shape.first + shape.rows + layout_.page_tokens - 1) / layout_.page_tokens;
    const size_t table_bytes = static_cast<size_t>(pages) * layout_.page_bytes();
    const auto sequences = static_cast<size_t>(shape.sequences);
    const size_t layers = std::max(size_t{1}, shape.bytes / (2 * sequences * table_bytes));
    cache_ = Filled(2 * sequences * layers * table_bytes);
    std::byte* page = cache_.as<std::byte>();
    pages_.resize(2 * sequences * layers);
    for (std::vector<void*>& table : pages_)
      for (int64_t i = 0; i < pages; ++i, page += layout_.page_bytes()) table.push_back(page);
    for (size_t i = 0; i < sequences * layers; ++i)
      sequences_.push_back({.row = static_cast<int64_t>(i % sequences) * shape.rows,
                            .tokens = shape.rows,
                            .first_position = shape.first,
                            .k_pages = pages_[2 * i],
                            .v_pages = pages_[2 * i + 1]});
    for (int64_t head = 0; head < shape.heads; ++head)
      kv_head_of_q_.push_back(static_cast<int32_t>(head * shape.kv_heads / shape.heads));
    qkv_ = Filled(kProducts * Bytes(rows(), q_cols() + 2 * kv_cols(), DType::kF32));
    out_ = device::Buffer(Bytes(rows(), q_cols(), dtype));
  }

  void Write(device::Stream& stream) const {
    ForLayers([&](auto qkv, auto sequences) { Write(stream, qkv, sequences); });
  }
  void Attend(device::Stream& stream) const {
    ForLayers([&](auto qkv, auto sequences) { Attend(stream, qkv, sequences); });
  }
  // One layer behind the other, as a decoder does.
  void Run(device::Stream& stream) const {
    ForLayers([&](auto qkv, auto sequences) {
      Write(stream, qkv, sequences);
      Attend(stream, qkv, sequences);
    });
  }

  double keys() const {  // that a row sees, on average
    return static_cast<double>(shape_.first) + static_cast<double>(shape_.rows + 1) / 2;
  }
  double queries() const { return layer_rows() * static_cast<double>(shape_.heads); }
  // Per position that every row sees.
  double key_bytes() const {
    return layer_rows() * 2.0 * static_cast<double>(kv_cols()) *
           static_cast<double>(core::SizeOf(dtype_));
  }
  double key_flops() const { return queries() * 4.0 * static_cast<double>(shape_.head_dim); }
  double written_bytes() const {
    return layer_rows() * 2.0 * static_cast<double>(kv_cols()) *
           (sizeof(float) + static_cast<double>(core::SizeOf(dtype_)));
  }

 private:
  int64_t rows() const { return shape_.sequences * shape_.rows; }
  double layer_rows() const {
    return static_cast<double>(sequences_.size()) * static_cast<double>(shape_.rows);
  }
  int64_t q_cols() const { return shape_.heads * shape_.head_dim; }
  int64_t kv_cols() const { return shape_.kv_heads * shape_.head_dim; }

  template <typename Layer>
  void ForLayers(const Layer& layer) const {
    const auto sequences = static_cast<size_t>(shape_.sequences);
    const ConstTensorView all(qkv_.as<float>(), kProducts * rows(), q_cols() + 2 * kv_cols());
    int64_t product = 0;
    for (size_t first = 0; first < sequences_.size(); first += sequences) {
      layer(all.Rows(product * rows(), rows()), std::span(sequences_).subspan(first, sequences));
      product = (product + 1) % kProducts;
    }
  }
  void Write(device::Stream& stream, ConstTensorView qkv,
             std::span<const kernels::KvSequence> sequences) const {
    kernels::KvWrite(stream, qkv.Cols(q_cols(), kv_cols()),
                     qkv.Cols(q_cols() + kv_cols(), kv_cols()), sequences, layout_);
  }
  void Attend(device::Stream& stream, ConstTensorView qkv,
              std::span<const kernels::KvSequence> sequences) const {
    kernels::Attention(stream, qkv.Cols(0, q_cols()), sequences, layout_,
                       {.scale = 0.125f, .kv_head_of_q = kv_head_of_q_},
                       TensorView(out_.data(), dtype_, rows(), q_cols()));
  }

  Shape shape_;
  kernels::KvPageLayout layout_;
  DType dtype_;
  device::Buffer cache_, qkv_, out_;
  std::vector<std::vector<void*>> pages_;  // by layer and sequence: of keys, of values
  std::vector<kernels::KvSequence> sequences_;
  std::vector<int32_t> kv_head_of_q_;
};

}  // namespace

LayerStack::Matrix::Matrix(DType dtype, int64_t outputs, int64_t inputs)
    : layout(dtype, outputs, inputs), data(Filled(layout.bytes())) {}

LayerStack::LayerStack(DType dtype, const LayerShape& shape, size_t bytes, int64_t max_rows)
    : dtype_(dtype),
      shape_(shape),
      input_(Filled(Bytes(max_rows, std::max(shape.hidden, shape.ffn), dtype))),
      activated_(Filled(Bytes(max_rows, shape.ffn, dtype))),
      outputs_(Bytes(max_rows, std::max({shape.qkv, shape.hidden, 2 * shape.ffn}), DType::kF32)) {
  const auto [hidden, qkv, ffn] = shape;
  size_t held = 0;
  do {
    const Layer& layer = layers_.emplace_back(Layer{.qkv = {dtype, qkv, hidden},
                                                    .attention_output = {dtype, hidden, hidden},
                                                    .gate_up = {dtype, 2 * ffn, hidden},
                                                    .down = {dtype, hidden, ffn}});
    held += layer.qkv.data.bytes() + layer.attention_output.data.bytes() +
            layer.gate_up.data.bytes() + layer.down.data.bytes();
  } while (held < bytes);
}

void LayerStack::Run(device::Stream& stream, int64_t rows,
                     const std::function<void()>& meet) const {
  const auto [hidden, qkv, ffn] = shape_;
  const ConstTensorView narrow(input_.data(), dtype_, rows, hidden);
  const ConstTensorView wide(input_.data(), dtype_, rows, ffn);
  const auto output = [&](int64_t cols) { return TensorView(outputs_.as<float>(), rows, cols); };
  for (const Layer& layer : layers_) {
    kernels::Linear(stream, narrow, layer.qkv.view(), output(qkv));
    kernels::Linear(stream, narrow, layer.attention_output.view(), output(hidden), {},
                    /*accumulate=*/true);
    if (meet) meet();
    kernels::LinearGated(stream, narrow, layer.gate_up.view(), {}, kernels::ActivationKind::kSilu,
                         output(2 * ffn), TensorView(activated_.data(), dtype_, rows, ffn));
    kernels::Linear(stream, wide, layer.down.view(), output(hidden), {}, /*accumulate=*/true);
    if (meet) meet();
  }
}

double LayerStack::weights() const {
  const auto [hidden, qkv, ffn] = shape_;
  const int64_t of_layer = hidden * (qkv + hidden + 2 * ffn + ffn);
  return static_cast<double>(layers_.size()) * static_cast<double>(of_layer);
}

// A query with k keys takes (k + extra) * (1 / scores rate + 4 * head_dim / flop rate): three times
// give the three unknowns.
AttentionRates MeasureAttention(device::Stream& stream, DType dtype, const ChunkShape& chunk,
                                const TimeCalls& time) {
  const auto work = [&](int64_t head_dim, int64_t first) {
    return AttentionWork(dtype, {.heads = 16,
                                 .kv_heads = 4,
                                 .head_dim = head_dim,
                                 .sequences = 1,
                                 .rows = spec::kManyRows,
                                 .first = first,
                                 .bytes = chunk.bytes});
  };
  const AttentionWork start = work(64, 0), far = work(64, chunk.far), wide = work(128, chunk.far);
  const std::vector<double> seconds =
      time({[&] { start.Attend(stream); }, [&] { far.Attend(stream); },
            [&] { wide.Attend(stream); }, [&] { start.Write(stream); }});
  const double start_s = seconds[0] / start.queries(), far_s = seconds[1] / far.queries();
  const double key_s = std::max((far_s - start_s) / (far.keys() - start.keys()), 1e-15);
  const double extra = std::max(0.0, start_s / key_s - start.keys());
  const double wide_key_s = seconds[2] / wide.queries() / (wide.keys() + extra);
  const double element_s =
      std::clamp((wide_key_s - key_s) / 64, wide_key_s / 256, wide_key_s / 128);
  const double score_s = wide_key_s - 128 * element_s;
  return {.flops_per_s = 4.0 / element_s,
          .scores_per_s = score_s > 0 ? 1.0 / score_s : 0.0,
          .extra_keys = extra,
          .write_bytes_per_s = start.written_bytes() / seconds[3]};
}

CachedAttentionRates MeasureCachedAttention(device::Stream& stream, DType dtype, size_t bytes,
                                            const TimeCalls& time) {
  const auto work = [&](int64_t heads, int64_t kv_heads, int64_t keys) {
    return AttentionWork(dtype, {.heads = heads,
                                 .kv_heads = kv_heads,
                                 .head_dim = 64,
                                 .sequences = 8,
                                 .rows = 1,
                                 .first = keys - 1,
                                 .bytes = bytes});
  };
  double bytes_per_s, extra;
  {
    const AttentionWork few = work(8, 8, 128), many = work(8, 8, 2048);
    const std::vector<double> seconds = time({[&] { few.Run(stream); }, [&] { many.Run(stream); }});
    // Per byte that a position of the cache has in all layers together.
    const double few_s = seconds[0] / few.key_bytes(), many_s = seconds[1] / many.key_bytes();
    const double key_byte_s = std::max((many_s - few_s) / (many.keys() - few.keys()), 1e-15);
    bytes_per_s = 1.0 / key_byte_s;
    extra = std::max(0.0, few_s / key_byte_s - few.keys());
  }
  const AttentionWork shared = work(16, 2, 2048);
  const double shared_s = time({[&] { shared.Run(stream); }}).front();
  return {.bytes_per_s = bytes_per_s,
          .extra_keys = extra,
          .flops_per_s = shared.key_flops() * (shared.keys() + extra) / shared_s};
}

double MeasureRows(device::Stream& stream, DType dtype, const LayerShape& shape,
                   const TimeCalls& time) {
  const int64_t hidden = shape.hidden, ffn = shape.ffn;
  const device::Buffer residual = Filled(Bytes(spec::kManyRows, hidden, DType::kF32)),
                       output = Filled(residual.bytes()),
                       weight = Filled(Bytes(1, hidden, DType::kF32)),
                       input = Filled(residual.bytes()),
                       wide = Filled(Bytes(spec::kManyRows, ffn, DType::kF32)),
                       activated = Filled(wide.bytes());
  const TensorView x(residual.as<float>(), spec::kManyRows, hidden);
  const auto all = [&] {
    for (int half = 0; half < 2; ++half) {
      kernels::RmsNorm(stream, x, TensorView(weight.as<float>(), 1, hidden), 1e-6f,
                       TensorView(input.data(), dtype, spec::kManyRows, hidden));
      kernels::Add(stream, x, TensorView(output.as<float>(), spec::kManyRows, hidden));
    }
    kernels::Activate(stream, kernels::ActivationKind::kSilu,
                      TensorView(wide.as<float>(), spec::kManyRows, ffn),
                      TensorView(activated.data(), dtype, spec::kManyRows, ffn));
  };
  const double element = static_cast<double>(core::SizeOf(dtype));
  constexpr double kF32 = sizeof(float);
  const double bytes = static_cast<double>(hidden) * 2 * (kF32 + element + 3 * kF32) +
                       static_cast<double>(ffn) * (kF32 + element);
  return spec::kManyRows * bytes / time({all}).front();
}

double MeasureOperation(device::Stream& stream, DType dtype, const TimeCalls& time) {
  const int64_t outputs = kernels::PackedLayout::kBlock * stream.pool().threads();
  const kernels::PackedLayout layout(dtype, outputs, kernels::PackedLayout::kBlock);
  const device::Buffer weight = Filled(layout.bytes()), x = Filled(Bytes(1, layout.k, dtype)),
                       y(Bytes(1, outputs, DType::kF32));
  const auto product = [&] {
    kernels::Linear(stream, ConstTensorView(x.data(), dtype, 1, layout.k), {layout, weight.data()},
                    TensorView(y.as<float>(), 1, outputs));
  };
  return time({product}).front();
}

}  // namespace autodist::measure
