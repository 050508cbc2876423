#include "autodist/infer/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "autodist/core/error.h"

namespace autodist::infer {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPageTokens = 64;

KvCacheOptions Options(int64_t layers, int64_t slots, int64_t pages) {
  KvCacheOptions options;
  options.layers = layers;
  options.layout = {core::DType::kBF16, /*kv_heads=*/3, kPageTokens, /*head_dim=*/5};
  options.slots = slots;
  options.pages = pages;
  return options;
}

TEST(KvCacheTest, PagesForTheRequest) {
  EXPECT_EQ(KvCacheOptions::PagesFor(1, 64, 64), 1);
  EXPECT_EQ(KvCacheOptions::PagesFor(1, 65, 64), 2);
  EXPECT_EQ(KvCacheOptions::PagesFor(5, 130, 64), 15);
  EXPECT_EQ(KvCacheOptions::PagesFor(5, 0, 64), 0);
}

TEST(KvCacheTest, PagesComeOnDemandAndReturnToZero) {
  KvCache cache(Options(2, 3, 8));
  EXPECT_EQ(cache.pages_in_use(), 0);
  cache.Reserve(0, 1);
  EXPECT_EQ(cache.pages_in_use(), 1);
  cache.Reserve(0, kPageTokens);  // still fits
  EXPECT_EQ(cache.pages_in_use(), 1);
  cache.Reserve(0, kPageTokens + 1);
  EXPECT_EQ(cache.pages_in_use(), 2);
  EXPECT_EQ(cache.tokens_capacity(0), 2 * kPageTokens);
  cache.Reserve(0, 1);  // never shrinks
  EXPECT_EQ(cache.pages_in_use(), 2);
  cache.Reserve(2, 3 * kPageTokens);
  EXPECT_EQ(cache.pages_in_use(), 5);
  cache.Release(0);
  EXPECT_EQ(cache.pages_in_use(), 3);
  EXPECT_EQ(cache.tokens_capacity(0), 0);
  cache.Release(2);
  cache.Release(2);  // nothing left to give back
  EXPECT_EQ(cache.pages_in_use(), 0);
}

TEST(KvCacheTest, BytesAreThoseOfTheRequest) {
  // 3 heads * 64 tokens * 5 elements, which are stored as 3 pairs, * 2 bytes.
  const KvCache cache(Options(2, 1, 7));
  EXPECT_EQ(cache.bytes(), 7u * 2 * 2 * 2304);
  EXPECT_EQ(KvCache(Options(0, 1, 7)).bytes(), 0u);  // a stage without layers
}

TEST(KvCacheTest, EveryPageOfEveryLayerHasItsOwnMemory) {
  constexpr int64_t kLayers = 3;
  KvCache cache(Options(kLayers, 2, 6));
  cache.Reserve(0, 2 * kPageTokens);
  cache.Reserve(1, 3 * kPageTokens);
  cache.Reserve(0, 3 * kPageTokens);
  const size_t page_bytes = cache.layout().page_bytes();
  std::vector<void*> pages;
  for (int slot : {0, 1}) {
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (auto span : {cache.KeyPages(slot, layer), cache.ValuePages(slot, layer)}) {
        ASSERT_EQ(span.size(), 3u);
        pages.insert(pages.end(), span.begin(), span.end());
      }
    }
  }
  // Fill each page with its own byte: an overlap or an overrun shows (the latter under ASan).
  for (size_t i = 0; i < pages.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages[i]) % 64, 0u);
    std::memset(pages[i], static_cast<int>(i + 1), page_bytes);
  }
  for (size_t i = 0; i < pages.size(); ++i) {
    const uint8_t* page = static_cast<const uint8_t*>(pages[i]);
    EXPECT_EQ(page[0], i + 1);
    EXPECT_EQ(page[page_bytes - 1], i + 1);
  }
}

TEST(KvCacheTest, WrittenMemoryIsUsedAgainFirst) {
  KvCache cache(Options(1, 1, 100));
  cache.Reserve(0, 2 * kPageTokens);
  const std::set<void*> before(cache.KeyPages(0, 0).begin(), cache.KeyPages(0, 0).end());
  cache.Release(0);
  cache.Reserve(0, 2 * kPageTokens);
  const std::set<void*> after(cache.KeyPages(0, 0).begin(), cache.KeyPages(0, 0).end());
  EXPECT_EQ(before, after);
}

TEST(KvCacheTest, AllSlotsAreReleasedTogether) {
  KvCache cache(Options(1, 3, 4));
  cache.Reserve(0, 2 * kPageTokens);
  cache.Reserve(2, kPageTokens);
  cache.ReleaseAll();
  EXPECT_EQ(cache.pages_in_use(), 0);
  cache.Reserve(1, 4 * kPageTokens);
}

TEST(KvCacheTest, AFullCacheIsAClearErrorAndChangesNothing) {
  KvCache cache(Options(2, 2, 4));
  cache.Reserve(0, 3 * kPageTokens);
  cache.Reserve(1, 1);
  cache.Release(0);
  try {
    cache.Reserve(1, 5 * kPageTokens);
    FAIL() << "must throw";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
    EXPECT_STREQ(
        error.what(),
        "the KV cache is full: a sequence of 320 tokens needs 4 more pages of 64 tokens, 3 "
        "of 4 are free");
  }
  EXPECT_EQ(cache.pages_in_use(), 1);
  EXPECT_EQ(cache.tokens_capacity(1), kPageTokens);
  cache.Reserve(1, 4 * kPageTokens);
}

TEST(KvCacheTest, ACacheLargerThanTheAddressSpaceIsAnError) {
  try {
    KvCache cache(Options(1000, 1, INT64_MAX / 1000));
    FAIL() << "must throw";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
    EXPECT_THAT(error.what(), HasSubstr("--max-model-len"));
  }
}

TEST(KvCacheTest, ViewOfOneCall) {
  KvCache cache(Options(2, 3, 8));
  cache.Reserve(2, kPageTokens + 4);
  cache.Reserve(0, 5);
  // A call with 4 rows of slot 2, positions 64 to 67, then one row of slot 0, position 4.
  const std::vector<KvRows> rows = {{2, 0, 4, 64}, {0, 4, 1, 4}};
  const KvCacheView view(cache, rows);
  for (int64_t layer : {0, 1}) {
    const auto sequences = view.Sequences(layer);
    ASSERT_EQ(sequences.size(), 2u);
    EXPECT_EQ(sequences[0].row, 0);
    EXPECT_EQ(sequences[0].tokens, 4);
    EXPECT_EQ(sequences[0].first_position, 64);
    ASSERT_EQ(sequences[0].k_pages.size(), 2u);
    EXPECT_EQ(sequences[0].k_pages[1], cache.KeyPages(2, layer)[1]);
    EXPECT_EQ(sequences[0].v_pages[1], cache.ValuePages(2, layer)[1]);
    EXPECT_EQ(sequences[1].row, 4);
    EXPECT_EQ(sequences[1].k_pages[0], cache.KeyPages(0, layer)[0]);
  }
  EXPECT_EQ(&view.layout(), &cache.layout());
}

TEST(KvCacheDeathTest, AViewBeyondThePagesIsABug) {
  KvCache cache(Options(1, 1, 8));
  cache.Reserve(0, kPageTokens);
  const std::vector<KvRows> rows = {{0, 0, 1, kPageTokens}};
  // A matcher, no regular expression: Oniguruma exports its own regcomp() and regexec(), which mix
  // badly with the C library's under AddressSanitizer.
  EXPECT_DEATH(KvCacheView(cache, rows), HasSubstr("tokens_capacity"));
}

}  // namespace
}  // namespace autodist::infer
