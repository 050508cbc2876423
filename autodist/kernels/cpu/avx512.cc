// Kernels for AVX-512. What the region needs of the standard library is included before it: see
// avx2.cc.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/quantise.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,f16c")
namespace autodist::kernels::cpu {
namespace {
constexpr int64_t kPrefetchBytes = 4096;
constexpr int64_t kBlocksAtOnce = 1;
// Each body uses those above it.
// clang-format off
#include "autodist/kernels/cpu/vec_avx512-inl.h"
#include "autodist/kernels/cpu/math-inl.h"
#include "autodist/kernels/cpu/rows-inl.h"
#include "autodist/kernels/cpu/gemm-inl.h"
#include "autodist/kernels/cpu/attention_state-inl.h"
#include "autodist/kernels/cpu/attention-inl.h"
#include "autodist/kernels/cpu/quant_avx512-inl.h"
#include "autodist/kernels/cpu/quant-inl.h"
#include "autodist/kernels/cpu/quantise-inl.h"
// clang-format on
}  // namespace
}  // namespace autodist::kernels::cpu
#pragma GCC pop_options

namespace autodist::kernels::cpu {

const KernelTable& Avx512Table() {
  static constexpr KernelTable kTable = {
      .add = AddRow,
      .convert = ConvertRow,
      .rms_norm = RmsNormRow,
      .layer_norm = LayerNormRow,
      .rope = RopeRow,
      .activate = ActivateRow,
      .max = MaxOfRow,
      .linear_f32 = LinearRows<float, RowOperand<float>>,
      .linear_bf16 = LinearRows<core::BFloat16, WidenedPairOperand>,
      .linear_gated_f32 = LinearGatedRows<float, RowOperand<float>>,
      .linear_gated_bf16 = LinearGatedRows<core::BFloat16, WidenedPairOperand>,
      .few_rows = 32,
      .linear_quantised = LinearQuantised,
      .dequantise = DequantiseBlock,
      .quantise = QuantiseGroup,
      .attention_f32 = AttentionRows<RowOperand<float>, FloatWeights>,
      .attention_bf16 = AttentionRows<WidenedPairOperand, FloatWeights>,
      .merge_attention = MergeAttention};
  return kTable;
}

}  // namespace autodist::kernels::cpu
