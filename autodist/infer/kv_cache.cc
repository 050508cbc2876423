#include "autodist/infer/kv_cache.h"

#include <algorithm>
#include <limits>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::infer {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

// a * b, or core::Error: a size that does not fit size_t cannot be had.
size_t TotalBytes(size_t page_bytes, int64_t pages) {
  size_t total = 0;
  if (__builtin_mul_overflow(page_bytes, static_cast<size_t>(pages), &total) ||
      total > static_cast<size_t>(std::numeric_limits<ptrdiff_t>::max())) {
    throw core::RuntimeFailure(
        "the KV cache would take {} pages of {} bytes, more than the address space; lower "
        "--max-model-len or --batch-size",
        pages, page_bytes);
  }
  return total;
}

}  // namespace

int64_t KvCacheOptions::PagesFor(int64_t slots, int64_t max_tokens, int64_t page_tokens) {
  AUTODIST_CHECK(slots >= 0 && max_tokens >= 0 && page_tokens >= 1);
  return slots * CeilDiv(max_tokens, page_tokens);
}

KvCache::KvCache(const KvCacheOptions& options) : options_(options) {
  AUTODIST_CHECK_GE(options.layers, 0);
  AUTODIST_CHECK_GE(options.pages, 0);
  AUTODIST_CHECK_GE(options.slots, 1);
  AUTODIST_CHECK(options.layout.kv_heads >= 1 && options.layout.head_dim >= 1);
  AUTODIST_CHECK(options.layout.page_tokens >= 1 && options.layout.page_tokens % 64 == 0);
  AUTODIST_CHECK(options.layout.dtype == core::DType::kF32 ||
                 options.layout.dtype == core::DType::kBF16);
  half_stride_ = options.layout.page_bytes();  // a multiple of 64, as pages are aligned
  page_stride_ = static_cast<size_t>(options.layers) * 2 * half_stride_;
  memory_ = device::Buffer(TotalBytes(page_stride_, options.pages));
  for (int64_t page = options.pages - 1; page >= 0; --page) free_.push_back(page);
  slots_.resize(static_cast<size_t>(options.slots));
  for (Slot& slot : slots_) {
    slot.keys.resize(static_cast<size_t>(options.layers));
    slot.values.resize(static_cast<size_t>(options.layers));
  }
}

void KvCache::Reserve(int slot, int64_t tokens) {
  At(slot);
  Slot& entry = slots_[static_cast<size_t>(slot)];
  const int64_t held = static_cast<int64_t>(entry.pages.size());
  const int64_t needed = CeilDiv(tokens, options_.layout.page_tokens) - held;
  if (needed > static_cast<int64_t>(free_.size())) {
    throw core::RuntimeFailure(
        "the KV cache is full: a sequence of {} tokens needs {} more pages of {} tokens, {} of {} "
        "are free",
        tokens, needed, options_.layout.page_tokens, free_.size(), options_.pages);
  }
  for (int64_t i = 0; i < needed; ++i) {
    const int64_t page = free_.back();
    free_.pop_back();
    entry.pages.push_back(page);
    uint8_t* at = memory_.as<uint8_t>() + static_cast<size_t>(page) * page_stride_;
    for (size_t layer = 0; layer < entry.keys.size(); ++layer) {
      entry.keys[layer].push_back(at);
      entry.values[layer].push_back(at + half_stride_);
      at += 2 * half_stride_;
    }
  }
}

void KvCache::Release(int slot) {
  At(slot);
  Slot& entry = slots_[static_cast<size_t>(slot)];
  free_.insert(free_.end(), entry.pages.rbegin(), entry.pages.rend());
  entry.pages.clear();
  for (std::vector<void*>& keys : entry.keys) keys.clear();
  for (std::vector<void*>& values : entry.values) values.clear();
}

void KvCache::ReleaseAll() {
  for (int slot = 0; slot < options_.slots; ++slot) Release(slot);
}

int64_t KvCache::tokens_capacity(int slot) const {
  return static_cast<int64_t>(At(slot).pages.size()) * options_.layout.page_tokens;
}

int64_t KvCache::pages_in_use() const {
  return options_.pages - static_cast<int64_t>(free_.size());
}

std::span<void* const> KvCache::KeyPages(int slot, int64_t layer) const {
  return At(slot).keys[static_cast<size_t>(layer)];
}

std::span<void* const> KvCache::ValuePages(int slot, int64_t layer) const {
  return At(slot).values[static_cast<size_t>(layer)];
}

const KvCache::Slot& KvCache::At(int slot) const {
  AUTODIST_CHECK(slot >= 0 && slot < options_.slots);
  return slots_[static_cast<size_t>(slot)];
}

KvCacheView::KvCacheView(const KvCache& cache, std::span<const KvRows> rows)
    : cache_(cache), sequences_per_layer_(rows.size()) {
  sequences_.reserve(rows.size() * static_cast<size_t>(cache.layers()));
  for (int64_t layer = 0; layer < cache.layers(); ++layer) {
    for (const KvRows& entry : rows) {
      AUTODIST_CHECK_LE(entry.first_position + entry.tokens, cache.tokens_capacity(entry.slot));
      sequences_.push_back({entry.row, entry.tokens, entry.first_position,
                            cache.KeyPages(entry.slot, layer),
                            cache.ValuePages(entry.slot, layer)});
    }
  }
}

std::span<const kernels::KvSequence> KvCacheView::Sequences(int64_t layer) const {
  AUTODIST_CHECK(layer >= 0 && layer < cache_.layers());
  return std::span(sequences_)
      .subspan(static_cast<size_t>(layer) * sequences_per_layer_, sequences_per_layer_);
}

}  // namespace autodist::infer
