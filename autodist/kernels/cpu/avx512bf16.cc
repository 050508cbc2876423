// AVX-512 with dot products of bf16 pairs. What the region needs of the standard library is
// included before it: see avx2.cc.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,f16c")
namespace autodist::kernels::cpu {
namespace {
// CPUs with these instructions and without tiles are AMD's Zen 4 and later. Their prefetchers keep
// up without help: asking took 3 % (Zen 4, two threads, products of one row in turn).
constexpr int64_t kPrefetchBytes = 0;
constexpr int64_t kBlocksAtOnce = 1;
// Each body uses those above it.
// clang-format off
#include "autodist/kernels/cpu/vec_avx512-inl.h"
#include "autodist/kernels/cpu/math-inl.h"
#include "autodist/kernels/cpu/rows-inl.h"
#include "autodist/kernels/cpu/gemm-inl.h"
#include "autodist/kernels/cpu/attention_state-inl.h"
#include "autodist/kernels/cpu/attention-inl.h"
#include "autodist/kernels/cpu/pairs-inl.h"
// clang-format on
}  // namespace
}  // namespace autodist::kernels::cpu
#pragma GCC pop_options

namespace autodist::kernels::cpu {

const KernelTable& Avx512Bf16Table() {
  static const KernelTable kTable = [] {
    KernelTable table = Avx512Table();
    table.linear_bf16 = LinearRows<core::BFloat16, PairOperand>;
    table.linear_gated_bf16 = LinearGatedRows<core::BFloat16, PairOperand>;
    table.attention_bf16 = AttentionRows<PairOperand, PairWeights>;
    return table;
  }();
  return kTable;
}

}  // namespace autodist::kernels::cpu
