// The functions behind the doors of kernels/, once per instruction set. Each runs on one thread and
// checks nothing.
#ifndef AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_
#define AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/dtype.h"
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
  core::DType page_dtype;
  int64_t page_tokens;
  int64_t head_dim;
  size_t head_offset;  // elements from a page's start to this kv head
  float scale;
  int64_t window;  // 0: none
};

struct KernelTable {
  // y += x; y *= factor; over n elements.
  void (*add)(const float* x, float* y, int64_t n);
  void (*scale)(float factor, float* y, int64_t n);
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
  // Sum of exp(scale * (x - max)).
  double (*sum_exp)(const float* x, float scale, float max, int64_t n);

  // `scratch` holds LinearScratchBytes().
  void (*linear_f32)(const LinearTask& task, void* scratch);
  void (*linear_bf16)(const LinearTask& task, void* scratch);

  // `scratch` holds AttentionScratchBytes().
  void (*attention)(const AttentionTask& task, void* scratch);
};

// Linear() takes x in chunks of this many rows and slabs of this many inputs; both fix the size of
// its scratch.
inline constexpr int64_t kRowChunk = 96;
inline constexpr int64_t kSlab = 256;
size_t LinearScratchBytes();
size_t AttentionScratchBytes(int64_t rows, int64_t head_dim);  // rows = q heads * tokens of a task

const KernelTable& TableFor(device::Isa isa);

// Each defined in the file of its name; only TableFor() calls them.
const KernelTable& Avx2Table();
const KernelTable& Avx512Table();
const KernelTable& Avx512Bf16Table();
const KernelTable& AmxTable();

}  // namespace autodist::kernels::cpu

#endif  // AUTODIST_KERNELS_CPU_KERNEL_TABLE_H_
