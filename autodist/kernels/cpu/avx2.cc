// Kernels for AVX2, FMA and F16C. Everything that the region needs of the standard library is
// included before it: what is first seen inside would be compiled for AVX2 and could be picked by
// the linker for the whole program.
#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/quantise.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace autodist::kernels::cpu {
namespace {
// Measured on Zen 3, whose prefetchers end at each page: bench/results/2026-11-23-zen3.md.
constexpr int64_t kPrefetchBytes = 1024;
constexpr int64_t kBlocksAtOnce = 4;
// Each body uses those above it.
// clang-format off
#include "autodist/kernels/cpu/vec_avx2-inl.h"
#include "autodist/kernels/cpu/math-inl.h"
#include "autodist/kernels/cpu/rows-inl.h"
#include "autodist/kernels/cpu/gemm-inl.h"
#include "autodist/kernels/cpu/attention_state-inl.h"
#include "autodist/kernels/cpu/attention-inl.h"
#include "autodist/kernels/cpu/quant_avx2-inl.h"
#include "autodist/kernels/cpu/quant-inl.h"
#include "autodist/kernels/cpu/quant_pairs_avx2-inl.h"
#include "autodist/kernels/cpu/quantise-inl.h"
// clang-format on
}  // namespace
}  // namespace autodist::kernels::cpu
#pragma GCC pop_options

namespace autodist::kernels::cpu {

const KernelTable& Avx2Table() {
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
      .blocks_at_once = kBlocksAtOnce,
      .few_rows = 16,
      .linear_quantised = LinearQuantisedPairs,
      .dequantise = DequantiseBlock,
      .quantise = QuantiseGroup,
      .attention_f32 = AttentionRows<RowOperand<float>, FloatWeights>,
      .attention_bf16 = AttentionRows<WidenedPairOperand, FloatWeights>,
      .merge_attention = MergeAttention};
  return kTable;
}

}  // namespace autodist::kernels::cpu
