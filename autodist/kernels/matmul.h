// Linear layers over weights that were packed once: y = x * W^T (+ bias).
//
// Shape letters of this folder: M rows of activations, N outputs, K inputs; T tokens, D width, V
// vocabulary. All kernels run on the stream's threads and have finished when they return; a
// mismatch of the shapes and dtypes that a header REQUIRES aborts (a bug of ours).
#ifndef AUTODIST_KERNELS_MATMUL_H_
#define AUTODIST_KERNELS_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/tensor_view.h"
#include "autodist/core/weight_format.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/activation.h"

namespace autodist::kernels {

// The packed form of W [N, K], also the form that the shard cache stores.
//
// N is cut into blocks of 64 outputs, each one contiguous stream, so that threads split N at block
// borders and a matrix-vector product reads memory strictly forward:
//   f32:   [N / 64][K][64]
//   bf16:  [N / 64][K / 2][64][2], K rounded up to 32: pairs of inputs lie together, as the CPU's
//   dot products want
//   int8 and int4: [N / 64][groups of 32 inputs], each the scales and the codes of 64 x 32 weights
//   (kernels/quantise.h)
// Outputs beyond N and inputs beyond K are zero. The same on every instruction set.
struct PackedLayout {
  static constexpr int64_t kBlock = 64;  // outputs of one block
  static constexpr int kVersion =
      3;  // of the form below; raised when it changes, so that no cache is misread

  PackedLayout() = default;
  // REQUIRES outputs, inputs >= 0; 0 <= lead < 32, and 0 unless the format is quantised.
  PackedLayout(core::WeightFormat format, int64_t outputs, int64_t inputs, int64_t lead = 0);
  // REQUIRES weight_dtype f32 or bf16.
  PackedLayout(core::DType weight_dtype, int64_t outputs, int64_t inputs)
      : PackedLayout(core::FormatOf(weight_dtype), outputs, inputs) {}

  core::WeightFormat format = core::WeightFormat::kF32;
  int64_t n = 0;
  int64_t k = 0;
  // Quantised: inputs of the first group that come before the first of this matrix. When the inputs
  // of a larger matrix are cut over ranks inside a group, both ranks keep that group, with the
  // scale and the codes that the uncut matrix has.
  int64_t lead = 0;

  bool quantised() const { return core::IsQuantised(format); }
  int64_t blocks() const { return (n + kBlock - 1) / kBlock; }
  int64_t padded_k() const {
    return format == core::WeightFormat::kF32 ? k : (lead + k + 31) / 32 * 32;
  }
  size_t block_bytes() const;
  size_t bytes() const { return static_cast<size_t>(blocks()) * block_bytes(); }
  // Where W[output, input] lies, in elements from the start. REQUIRES f32 or bf16.
  int64_t Index(int64_t output, int64_t input) const;
};

// A packed weight that somebody else owns; data is aligned to 64.
struct PackedWeight {
  PackedLayout layout;
  const void* data = nullptr;
};

// Packs a piece of W into `packed` (layout.bytes(), aligned to 64, all zero before the first piece:
// device::Buffer is). The piece starts at W[first_n, first_k]; pieces must not overlap and may come
// in any order. Source dtypes: f32, bf16, f16; converted to the layout's, rounding to nearest even.
// The row stride of the source is free.
//
// A quantised layout takes whole groups: REQUIRES first_k == 0 and a piece whose columns are those
// of W and, of its first and last group, the `lead` columns before and any columns behind, which
// decide the scales too.
void PackRows(device::Stream& stream, core::ConstTensorView piece_NK, const PackedLayout& layout,
              int64_t first_n, int64_t first_k, void* packed);

// y = x * W^T + bias, or with `accumulate` y += x * W^T + bias.
// Shapes: x [M, K], y [M, N], bias [1, N] or empty (a default view). M may be 0, K not. Row strides
// of x and y are free. Dtypes: x f32 or bf16, and as the weight unless that is quantised; y and
// bias f32; products are summed in f32. y overlaps neither x nor bias. Bits: an element is one
// fixed chain of sums over K, whatever the number of threads, M, N, the other rows and the strides;
// the chain differs between instruction sets. Quantised weights have two: up to 8 rows (Isa::kAmx),
// 16 (kAvx2) or 32, and any number on a stream that is deterministic(), the codes are multiplied
// with x in f32; more rows use weights that were dequantised to the dtype of x.
void Linear(device::Stream& stream, core::ConstTensorView x_MK, const PackedWeight& weight,
            core::TensorView y_MN, core::ConstTensorView bias_N = {}, bool accumulate = false);

// y = act(gate) * up, where [gate, up] = x * W^T + bias are as wide each: Linear() and
// ActivateGated() (activation.h), and the same bits. Unless the weight is quantised or N / 2 no
// multiple of 64, [gate, up] never goes to memory: on matrix tiles, writing and reading it takes a
// quarter of the time of the product. Shapes: x [M, K], gate_up [M, N], y [M, N / 2]. Dtypes: as
// Linear()'s, y f32 or bf16. gate_up is working memory: its contents are arbitrary afterwards.
void LinearGated(device::Stream& stream, core::ConstTensorView x_MK, const PackedWeight& weight,
                 core::ConstTensorView bias_N, ActivationKind kind, core::TensorView gate_up_MN,
                 core::TensorView y_MF);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_MATMUL_H_
