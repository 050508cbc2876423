// Our kernels at the work of a model, for calibration: each rate is that of one rank, measured
// while its peers measure the same.
//
// `time` calls functions often enough, in turns, and gives seconds per call of each. Dtypes: f32 or
// bf16.
#ifndef AUTODIST_MEASURE_KERNEL_RATES_H_
#define AUTODIST_MEASURE_KERNEL_RATES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "autodist/core/dtype.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"
#include "autodist/spec/cluster.h"

namespace autodist::measure {

using TimeCalls =
    std::function<std::vector<double>(const std::vector<std::function<void()>>& bodies)>;

// Of the decoder layers that are measured. REQUIRES multiples of 64.
struct LayerShape {
  int64_t hidden = 1024;
  int64_t qkv = 1536;  // rows of q, k and v together
  int64_t ffn = 4096;
};

// The products of decoder layers, q, k and v, attention output, gate and up with their activation,
// down, one layer behind the other.
class LayerStack {
 public:
  // As many layers as `bytes` of weights make, at least one. Products of at most `max_rows` rows.
  LayerStack(core::DType dtype, const LayerShape& shape, size_t bytes, int64_t max_rows);

  // Once through all layers. `meet` is called where the ranks of a tp group add their sums: behind
  // the attention output and behind down. REQUIRES 1 <= rows <= max_rows.
  void Run(device::Stream& stream, int64_t rows, const std::function<void()>& meet = {}) const;

  double weights() const;
  double meetings() const { return 2.0 * static_cast<double>(layers_.size()); }

 private:
  struct Matrix {
    Matrix(core::DType dtype, int64_t outputs, int64_t inputs);
    kernels::PackedWeight view() const { return {layout, data.data()}; }
    kernels::PackedLayout layout;
    device::Buffer data;
  };
  struct Layer {
    Matrix qkv, attention_output, gate_up, down;
  };

  core::DType dtype_;
  LayerShape shape_;
  std::vector<Layer> layers_;
  device::Buffer input_, activated_, outputs_;
};

// Attention of many rows, as spec::Cluster has it, of one rank.
struct AttentionRates {
  double flops_per_s;
  double scores_per_s;
  double extra_keys;
  double write_bytes_per_s;
};
// What attention of many rows is measured over, by each rank.
struct ChunkShape {
  int64_t far = 3072;               // first position of a chunk far behind the start
  size_t bytes = size_t{32} << 20;  // of caches, about; at least one layer
};
// From chunks of spec::kManyRows positions at the start and far behind it, with heads of 64 and of
// 128 elements, four of them to each that is cached.
AttentionRates MeasureAttention(device::Stream& stream, core::DType dtype, const ChunkShape& chunk,
                                const TimeCalls& time);

// Attention of single tokens, as spec::Cluster has it, of one rank.
struct CachedAttentionRates {
  double bytes_per_s;  // each head has its own keys and values
  double extra_keys;
  double flops_per_s;  // eight heads share them
};
// KvWrite() and Attention() of eight sequences with 128 and 2048 positions each, in caches of about
// `bytes` altogether.
CachedAttentionRates MeasureCachedAttention(device::Stream& stream, core::DType dtype, size_t bytes,
                                            const TimeCalls& time);

// RmsNorm(), Activate() and Add() of spec::kManyRows rows: bytes of activations read and written.
double MeasureRows(device::Stream& stream, core::DType dtype, const LayerShape& shape,
                   const TimeCalls& time);

// Seconds of Linear() of next to nothing.
double MeasureOperation(device::Stream& stream, core::DType dtype, const TimeCalls& time);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_KERNEL_RATES_H_
