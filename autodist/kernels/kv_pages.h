// What the doors of attention and of writing the cache check. Private to kernels/.
#ifndef AUTODIST_KERNELS_KV_PAGES_H_
#define AUTODIST_KERNELS_KV_PAGES_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "autodist/core/check.h"
#include "autodist/kernels/attention.h"
#include "autodist/kernels/cpu/kernel_table.h"

namespace autodist::kernels {

inline void CheckLayout(const KvPageLayout& layout) {
  AUTODIST_CHECK(layout.dtype == core::DType::kF32 || layout.dtype == core::DType::kBF16);
  AUTODIST_CHECK(layout.page_tokens > 0 && layout.page_tokens % cpu::kKeyTile == 0);
  AUTODIST_CHECK(layout.kv_heads >= 1 && layout.head_dim >= 1);
}

inline void CheckSequence(const KvSequence& sequence, const KvPageLayout& layout, int64_t rows) {
  AUTODIST_CHECK(sequence.row >= 0 && sequence.tokens >= 0 &&
                 sequence.row + sequence.tokens <= rows);
  AUTODIST_CHECK_GE(sequence.first_position, 0);
  const int64_t pages =
      static_cast<int64_t>(std::min(sequence.k_pages.size(), sequence.v_pages.size()));
  AUTODIST_CHECK_LE(sequence.first_position + sequence.tokens, pages * layout.page_tokens);
}

inline int64_t RowsOf(std::span<const KvSequence> sequences) {
  int64_t rows = 0;
  for (const KvSequence& sequence : sequences) rows += sequence.tokens;
  return rows;
}

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_KV_PAGES_H_
