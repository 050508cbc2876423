// Products of bf16 matrices, and attention over bf16 pages, on the tile registers of AMX. What the
// region needs of the standard library is included before it: see avx2.cc.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/matmul.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,f16c")
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
#include "autodist/kernels/cpu/tile_shapes-inl.h"
#include "autodist/kernels/cpu/tiles-inl.h"
#include "autodist/kernels/cpu/tiled_rows-inl.h"
#include "autodist/kernels/cpu/attention_state-inl.h"
#include "autodist/kernels/cpu/pairs-inl.h"
#include "autodist/kernels/cpu/attention_tiles-inl.h"
// clang-format on
}  // namespace
}  // namespace autodist::kernels::cpu
#pragma GCC pop_options

namespace autodist::kernels::cpu {

const KernelTable& AmxTable() {
  static const KernelTable kTable = [] {
    KernelTable table = Avx512Bf16Table();
    table.linear_bf16 = LinearTiles;
    table.linear_gated_bf16 = LinearGatedTiles;
    table.tile_rows = TileRowsOf;
    table.linear_tiled = LinearTiledRows;
    table.linear_tiled_gated = LinearTiledGated;
    table.attention_bf16 = AttentionTiles;
    table.few_rows = 8;
    return table;
  }();
  return kTable;
}

}  // namespace autodist::kernels::cpu
