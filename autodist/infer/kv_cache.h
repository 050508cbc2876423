// The KV cache of one rank: pages of key and value memory, handed to sequences as they grow.
//
// Sized to the largest request so far (slots x longest sequence), not to what the model could read.
// A page id stands for one page of keys and one of values in every layer of the stage, so a
// sequence needs one list of ids. Thread-compatible: one rank thread uses it.
#ifndef AUTODIST_INFER_KV_CACHE_H_
#define AUTODIST_INFER_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/kernels/attention.h"
#include "autodist/model/kv_view.h"

namespace autodist::infer {

struct KvCacheOptions {
  int64_t layers = 0;            // of this stage; may be 0
  kernels::KvPageLayout layout;  // kv heads of this rank, head_dim, tokens per page, dtype
  int64_t slots = 1;             // sequences that may hold pages at once
  int64_t pages = 0;             // shared by the slots

  // The pages that `slots` sequences of at most `max_tokens` tokens need.
  static int64_t PagesFor(int64_t slots, int64_t max_tokens, int64_t page_tokens);
};

class KvCache {
 public:
  // Takes address space; memory is used as pages are first written. Throws core::Error (runtime)
  // naming the bytes when they cannot be had.
  explicit KvCache(const KvCacheOptions& options);

  // Gives `slot` pages until positions [0, tokens) have a place; what it holds stays. Throws
  // core::Error (runtime) when too few pages are free; the slot is then unchanged.
  void Reserve(int slot, int64_t tokens);
  // Takes the slot's pages back. Their contents are left as they are.
  void Release(int slot);
  void ReleaseAll();

  int64_t tokens_capacity(int slot) const;  // positions that the slot's pages hold
  int64_t pages() const { return options_.pages; }
  int64_t pages_in_use() const;                     // 0 when every slot is released
  size_t bytes() const { return memory_.bytes(); }  // when every page is written
  const kernels::KvPageLayout& layout() const { return options_.layout; }
  int64_t layers() const { return options_.layers; }

  // Where one page of a slot lies, as attention takes it: one entry per page, in the order of
  // positions. Valid until the slot's pages change.
  std::span<void* const> KeyPages(int slot, int64_t layer) const;
  std::span<void* const> ValuePages(int slot, int64_t layer) const;

 private:
  struct Slot {
    std::vector<int64_t> pages;
    std::vector<std::vector<void*>> keys;    // [layer][page]
    std::vector<std::vector<void*>> values;  // [layer][page]
  };

  const Slot& At(int slot) const;

  KvCacheOptions options_;
  size_t half_stride_ = 0;  // bytes from a page of keys to its values
  size_t page_stride_ = 0;  // bytes from one page id to the next: [layer][keys, values]
  device::Buffer memory_;
  std::vector<int64_t>
      free_;  // last in, first out: written memory is used again before new memory is
  std::vector<Slot> slots_;
};

// The rows of one forward call that belong to one slot.
struct KvRows {
  int slot = 0;
  int64_t row = 0;     // of the activations
  int64_t tokens = 0;  // rows, and positions first_position + [0, tokens)
  int64_t first_position = 0;
};

// The cache as one forward call sees it. REQUIRES that each slot has pages for its rows' positions,
// and that no slot is reserved or released while this is in use. The cache must outlive it.
class KvCacheView : public model::KvView {
 public:
  KvCacheView(const KvCache& cache, std::span<const KvRows> rows);

  const kernels::KvPageLayout& layout() const override { return cache_.layout(); }
  std::span<const kernels::KvSequence> Sequences(int64_t layer) const override;

 private:
  const KvCache& cache_;
  size_t sequences_per_layer_;
  std::vector<kernels::KvSequence> sequences_;  // [layer][entry of rows]
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_KV_CACHE_H_
