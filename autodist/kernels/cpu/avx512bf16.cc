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
// Each body uses those above it.
// clang-format off
#include "autodist/kernels/cpu/vec_avx512-inl.h"
#include "autodist/kernels/cpu/math-inl.h"
#include "autodist/kernels/cpu/rows-inl.h"
#include "autodist/kernels/cpu/gemm-inl.h"
// clang-format on

// A and B are pairs of bf16; the instruction adds both products of a pair to the f32 sum.
struct PairOperand {
  using A = core::BFloat16;
  using B = core::BFloat16;
  using Loaded = Pairs;
  static constexpr int kPerStep = 2;
  static Loaded LoadB(const B* b) { return LoadPairs(b); }
  template <int V>
  static void MultiplyAdd(const A* a, const Loaded* b, Vec* sums) {
    int pair;
    __builtin_memcpy(&pair, a, sizeof(pair));
    const auto value = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v)
      sums[v] = _mm512_dpbf16_ps(sums[v], value, reinterpret_cast<__m512bh>(b[v]));
  }
};

}  // namespace
}  // namespace autodist::kernels::cpu
#pragma GCC pop_options

namespace autodist::kernels::cpu {

const KernelTable& Avx512Bf16Table() {
  static const KernelTable kTable = [] {
    KernelTable table = Avx512Table();
    table.linear_bf16 = LinearRows<core::BFloat16, PairOperand>;
    return table;
  }();
  return kTable;
}

}  // namespace autodist::kernels::cpu
