// The functions behind the doors of kernels/, once per instruction set. Each runs on one thread and
// checks nothing.
#ifndef AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_
#define AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/dtype.h"
#include "autodist/core/weight_format.h"
#include "autodist/device/topology.h"
#include "autodist/kernels/activation.h"

namespace autodist::kernels::cpu {

// One thread's share of Linear(): rows of x against neighbouring blocks of a packed weight.
struct LinearTask {
  const void* x;     // [rows, k]
  int64_t x_stride;  // elements
  int64_t rows;
  const void* weight;  // first block of the share
  size_t block_bytes;
  int64_t k;
  int64_t outputs;  // of the share; the last block may be partly filled
  float* y;         // [rows, outputs]
  int64_t y_stride;
  const float* bias;  // [outputs] or nullptr
  bool accumulate;
};

// How x [rows, k] of bf16 lies for a product of many rows on matrix tiles. Inputs are cut into
// slabs of at most kSlabTiles tiles; of a slab, tile by tile, 16 rows of 32 inputs:
//   [slabs][rows / 16][tiles of the slab][16][32]
// Rows and inputs that do not exist are zero. A slab of a chunk of rows stays in the second-level
// cache, and both operands of a product are read straight forward whatever the stride of x was.
struct TiledRows {
  static constexpr int64_t kRows = 16;
  static constexpr int64_t kInputs = 32;
  static constexpr int64_t kTileBytes = kRows * kInputs * 2;
  static constexpr int64_t kSlabTiles = 64;
  // Up to here, laying out x takes longer than it saves.
  static constexpr int64_t kFewRows = 32;

  int64_t rows = 0;
  int64_t k = 0;

  // The most rows of a chunk: about a MiB of them, so that weights are read as seldom as possible.
  static int64_t MaxRows(int64_t k) { return k <= 36 * kInputs ? 512 : 256; }

  int64_t groups() const { return (rows + kRows - 1) / kRows; }
  int64_t tiles() const { return (k + kInputs - 1) / kInputs; }
  int64_t slabs() const { return (tiles() + kSlabTiles - 1) / kSlabTiles; }
  // Slabs are equal but for one tile; slab s starts at this tile.
  int64_t FirstTile(int64_t slab) const { return tiles() * slab / slabs(); }
  size_t bytes() const { return static_cast<size_t>(groups() * tiles() * kTileBytes); }
  // From the start to the first tile of a group of rows in a slab.
  int64_t Offset(int64_t slab, int64_t group) const {
    const int64_t first = FirstTile(slab);
    return (first * groups() + (FirstTile(slab + 1) - first) * group) * kTileBytes;
  }
};

// Rows [16 * first_group, 16 * last_group) of x into `tiled`.
struct TileRowsTask {
  const void* x;     // [rows, k] bf16
  int64_t x_stride;  // elements
  TiledRows shape;
  int64_t first_group;
  int64_t last_group;
  void* tiled;  // shape.bytes(), aligned to 64
};

// One thread's share of Linear() over rows that TileRowsTask has laid out: pairs of groups of rows
// against neighbouring blocks of a packed weight. Of `linear`, x is the tiled memory, x_stride is
// not used, and rows, y count from the share's first row.
struct TiledLinearTask {
  LinearTask linear;
  TiledRows shape;
  int64_t first_row;  // of the share in the tiled rows, a multiple of 32
};

// One thread's share of LinearGated(): `linear` is the share of the gates, without y; the ups are
// as many outputs, `up_outputs` after them in the weight and the bias. `weight` is the start of the
// whole weight and the share's first gate is `first_output`.
struct GatedTask {
  LinearTask linear;
  int64_t first_output;
  int64_t up_outputs;
  ActivationKind kind;
  core::DType dtype;  // of y
  void* y;            // [rows, outputs]
  int64_t y_stride;   // elements
};

// The same over rows that are laid out: as TiledLinearTask. Outputs in multiples of 32.
struct TiledGatedTask {
  GatedTask gated;
  TiledRows shape;
  int64_t first_row;
};

// One thread's share of Linear() against a quantised weight, multiplied as it is.
struct QuantisedTask {
  LinearTask linear;
  core::WeightFormat format;
  int64_t lead;
  core::DType x_dtype;
};

// Attention adds up the keys of this many positions at a time, from multiples of it on, and merges
// the sums in order: a row's bits do not depend on whether its segments are one task or many.
inline constexpr int64_t kAttentionSegment = 1024;
inline constexpr int64_t kKeyTile = 64;  // divides page_tokens

// Work on one (sequence, kv head, run of tokens): its rows are the q heads of that kv head times
// the tokens.
struct AttentionTask {
  const float* q;  // row of the first token, head 0
  int64_t q_stride;
  void* out;  // same rows as q
  int64_t out_stride;
  core::DType out_dtype;
  const int32_t* q_heads;  // the q heads that read this kv head
  int64_t q_head_count;
  int64_t tokens;
  int64_t position;  // of the first token
  void* const* k_pages;
  void* const* v_pages;
  int64_t page_tokens;
  int64_t head_dim;
  size_t head_offset;  // elements from a page's start to this kv head
  float scale;
  int64_t window;  // 0: none
  // nullptr: the keys of all segments become results. Else only those of `segment`, and their state
  // is left here, AttentionStateFloats() of it.
  float* partial;
  int64_t segment;
  // What the thread does afterwards, whose first keys may be asked for early; or nullptr.
  const AttentionTask* next;

  // The first key that a token at this position sees, or 0; positions may count from any key.
  int64_t FirstKeyOf(int64_t token_position) const {
    return window > 0 && token_position >= window ? token_position - window + 1 : 0;
  }
  // The keys that some row sees: [FirstKey(), EndKey()).
  int64_t FirstKey() const { return FirstKeyOf(position); }
  int64_t EndKey() const { return position + tokens; }
};

struct KernelTable {
  // y += x over n elements.
  void (*add)(const float* x, float* y, int64_t n);
  // Between equal dtypes, or f32 and a 16-bit one.
  void (*convert)(core::DType from, const void* x, core::DType to, void* y, int64_t n);
  // One group of a row. y is f32 or bf16.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, core::DType dtype, void* y,
                   int64_t n);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon,
                     core::DType dtype, void* y, int64_t n);
  // One row of one head, `pairs` elements of cos and sin.
  void (*rope)(const float* cos, const float* sin, int64_t pairs, float* x);
  // y = act(x), times up unless it is nullptr.
  void (*activate)(ActivationKind kind, const float* x, const float* up, core::DType dtype, void* y,
                   int64_t n);
  // The largest value that is no NaN; -infinity when there is none.
  float (*max)(const float* x, int64_t n);

  // `scratch` holds LinearScratchBytes(). Gates come in whole blocks.
  void (*linear_f32)(const LinearTask& task, void* scratch);
  void (*linear_bf16)(const LinearTask& task, void* scratch);
  void (*linear_gated_f32)(const GatedTask& task, void* scratch);
  void (*linear_gated_bf16)(const GatedTask& task, void* scratch);
  // Blocks that products of one row read together; they want shares of at least as many.
  int64_t blocks_at_once = 1;
  // bf16 on matrix tiles; nullptr where the CPU has none. linear_bf16 and linear_gated_bf16 are
  // then for at most TiledRows::kFewRows rows. The others are for more, with the same bits; their
  // `scratch` holds TiledLinearScratchBytes() of the share's rows and outputs, gates and ups
  // together.
  void (*tile_rows)(const TileRowsTask& task) = nullptr;
  void (*linear_tiled)(const TiledLinearTask& task, void* scratch) = nullptr;
  void (*linear_tiled_gated)(const TiledGatedTask& task, void* scratch) = nullptr;

  // The most rows that are worth linear_quantised(): with more, weights are dequantised first.
  int64_t few_rows;
  // Codes times x as it is. `scratch` holds QuantisedScratchBytes().
  void (*linear_quantised)(const QuantisedTask& task, void* scratch);
  // Blocks' codes to their weights: `groups` times 64 outputs x 32 inputs, from one f32 or bf16
  // packed block to the next.
  void (*dequantise)(core::WeightFormat format, const void* block, int64_t groups, core::DType to,
                     void* panel);
  // x [32 inputs][64 outputs] to a group row.
  void (*quantise)(core::WeightFormat format, const float* x, void* group);

  // By the dtype of the pages. `scratch` holds AttentionScratchBytes().
  void (*attention_f32)(const AttentionTask& task, void* scratch);
  void (*attention_bf16)(const AttentionTask& task, void* scratch);
  // The states of a task's segments, one after the other, become its results. Spoils the first.
  void (*merge_attention)(const AttentionTask& task, float* states, int64_t segments);
};

// Linear() takes x in chunks of this many rows and slabs of this many inputs; both fix the size of
// its scratch.
inline constexpr int64_t kRowChunk = 96;
inline constexpr int64_t kSlab = 256;
// The most blocks that it multiplies together; their sums are in the scratch, too.
inline constexpr int64_t kMostBlocks = 4;
size_t LinearScratchBytes();
size_t TiledLinearScratchBytes(const TiledRows& shape, int64_t rows, int64_t outputs);
// Rows of x that linear_quantised() keeps at hand.
inline constexpr int64_t kQuantisedRows = 32;
size_t QuantisedScratchBytes(int64_t padded_k);

// rows = q heads * tokens of a task.
size_t AttentionScratchBytes(int64_t rows, int64_t head_dim);
// From row to row of queries and sums.
constexpr int64_t AttentionRowStride(int64_t head_dim) { return (head_dim + 31) / 32 * 32; }
// Per row: the sums, 16 parts of the denominator and the maximum; a multiple of 64 bytes.
constexpr int64_t AttentionStateFloats(int64_t rows, int64_t head_dim) {
  return (rows * (AttentionRowStride(head_dim) + 16 + 1) + 15) / 16 * 16;
}

const KernelTable& TableFor(device::Isa isa);

// Each defined in the file of its name; only TableFor() calls them.
const KernelTable& Avx2Table();
const KernelTable& Avx512Table();
const KernelTable& Avx512Bf16Table();
const KernelTable& AmxTable();

}  // namespace autodist::kernels::cpu

#endif  // AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_
