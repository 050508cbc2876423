// Causal attention over a paged KV cache, and writing to that cache.
#ifndef AUTODIST_KERNELS_ATTENTION_H_
#define AUTODIST_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"

namespace autodist::kernels {

// One page holds the keys, or the values, of page_tokens neighbouring positions of one sequence in
// one layer. Both are the right-hand side of a product as it wants to read it: rows of inputs, or
// pairs of inputs side by side as bf16 dot products take them.
//            f32                                  bf16
//   keys:    [kv_heads][head_dim][page_tokens]    [kv_heads][head_dim / 2][page_tokens][2]
//   values:  [kv_heads][page_tokens][head_dim]    [kv_heads][page_tokens / 2][head_dim][2]
// An odd head_dim has a last pair of keys whose second half is zero.
// REQUIRES dtype f32 or bf16, page_tokens a multiple of 64, kv_heads and head_dim >= 1.
struct KvPageLayout {
  core::DType dtype = core::DType::kF32;
  int64_t kv_heads = 0;
  int64_t page_tokens = 64;
  int64_t head_dim = 0;

  // Of one kv head in a page.
  int64_t head_elements() const {
    return page_tokens * (dtype == core::DType::kBF16 ? head_dim + head_dim % 2 : head_dim);
  }
  // Of the keys; the values take as much. Pages are aligned to 64.
  size_t page_bytes() const {
    return static_cast<size_t>(kv_heads * head_elements()) * core::SizeOf(dtype);
  }
};

// A run of consecutive positions of one sequence, and where its cache lies. Row `row + i` of the
// activations is position `first_position + i`, for i in [0, tokens). Position p lies in page p /
// page_tokens. Pages wholly before what a sliding window can see are never read and may be null.
struct KvSequence {
  int64_t row = 0;
  int64_t tokens = 0;
  int64_t first_position = 0;
  std::span<void* const> k_pages;
  std::span<void* const> v_pages;
};

// Stores k and v [T, kv_heads * head_dim] (f32, row strides free) at their positions, converted to
// the cache's dtype. Different sequences must not share the pages written to. REQUIRES that
// positions of a sequence are first written in order: values are read in groups of 32 positions,
// and a call that writes the first of a group sets what it leaves of the group to zero.
void KvWrite(device::Stream& stream, core::ConstTensorView k_TD, core::ConstTensorView v_TD,
             std::span<const KvSequence> sequences, const KvPageLayout& layout);

struct AttentionOptions {
  float scale = 1.0f;  // of the scores; usually 1 / sqrt(head_dim)
  int64_t sliding_window =
      0;  // a query sees this many positions, itself included; 0: all before it
  std::span<const int32_t> kv_head_of_q;  // for each q head of this rank its kv head in the pages
};

// out = softmax(scale * q * K^T) * V for each q head; query at position p sees the keys in
// (p - sliding_window, p]. All positions up to the query's own must be in the cache: KvWrite comes
// first. Shapes: q, out [T, q_heads * head_dim], row strides free; q_heads = kv_head_of_q.size().
// Rows outside of all sequences are left alone. Dtypes: q f32; out f32 or bf16; scores, softmax and
// sums in f32. With bf16 pages and AVX-512 BF16 or AMX, q and the weights of the values are rounded
// to bf16. out may be q. Bits: a row's result depends on its q, its position and the cache alone:
// not on the threads, nor on how many rows or sequences are in the call. A prompt computed in
// chunks gives the bits of the whole. A key that is not a number spoils the rows that see it, such
// a value also others of its sequence.
void Attention(device::Stream& stream, core::ConstTensorView q_TD,
               std::span<const KvSequence> sequences, const KvPageLayout& layout,
               const AttentionOptions& options, core::TensorView out_TD);

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_ATTENTION_H_
