#include "autodist/measure/machine_limits.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "autodist/device/buffer.h"
#include "autodist/measure/seconds.h"

namespace autodist::measure {
namespace {

// Reading is as fast as cache lines are asked for ahead of time: with narrow loads (16 bytes) two
// cores of a server reach less than two thirds of what 64-byte loads reach. Of the variants tried
// (widths, one to eight streams, prefetch 512 B to 4 KiB ahead) these were the fastest: one stream
// with prefetch on Xeons, four without on Zen 3 (1.4 times as fast there). With AVX2, which both
// may have, the faster of the two counts.
constexpr size_t kAheadBytes = 4096;

void PrefetchChunk(const uint8_t* p) {
  for (size_t line = 0; line < kReadChunkBytes; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(p) + kAheadBytes + line, _MM_HINT_T0);
}

uint64_t XorOf(const uint64_t (&words)[8]) {
  uint64_t result = 0;
  for (const uint64_t word : words) result ^= word;
  return result;
}

// Every byte of the chunks goes into the result.
__attribute__((target("avx512f"))) uint64_t FoldAvx512(const uint8_t* p, size_t chunks) {
  __m512i folds[4];
  for (__m512i& fold : folds) fold = _mm512_setzero_si512();
  for (; chunks > 0; --chunks, p += kReadChunkBytes) {
    PrefetchChunk(p);
    for (size_t i = 0; i < 4; ++i)
      folds[i] = _mm512_xor_si512(folds[i], _mm512_load_si512(p + 64 * i));
  }
  alignas(64) uint64_t words[8];
  _mm512_store_si512(words, _mm512_xor_si512(_mm512_xor_si512(folds[0], folds[1]),
                                             _mm512_xor_si512(folds[2], folds[3])));
  return XorOf(words);
}

struct Folds {
  __m256i sums[8];
};
__attribute__((target("avx2"))) inline void FoldChunk(const uint8_t* p, Folds& folds) {
  for (size_t i = 0; i < 8; ++i) {
    const auto* const at = reinterpret_cast<const __m256i*>(p + 32 * i);
    folds.sums[i] = _mm256_xor_si256(folds.sums[i], _mm256_load_si256(at));
  }
}
__attribute__((target("avx2"))) uint64_t XorOf(Folds& folds) {
  for (size_t i = 2; i < 8; ++i)
    folds.sums[i % 2] = _mm256_xor_si256(folds.sums[i % 2], folds.sums[i]);
  alignas(32) uint64_t words[8];
  for (size_t i = 0; i < 2; ++i)
    _mm256_store_si256(reinterpret_cast<__m256i*>(words + 4 * i), folds.sums[i]);
  return XorOf(words);
}

__attribute__((target("avx2"))) uint64_t FoldAvx2(const uint8_t* p, size_t chunks) {
  Folds folds = {};
  for (; chunks > 0; --chunks, p += kReadChunkBytes) {
    PrefetchChunk(p);
    FoldChunk(p, folds);
  }
  return XorOf(folds);
}

__attribute__((target("avx2"))) uint64_t FoldStreamsAvx2(const uint8_t* p, size_t chunks) {
  constexpr size_t kStreams = 4;
  const size_t each = chunks / kStreams;
  Folds folds = {};
  for (size_t i = 0; i < each; ++i) {
    for (size_t stream = 0; stream < kStreams; ++stream)
      FoldChunk(p + (stream * each + i) * kReadChunkBytes, folds);
  }
  for (size_t i = kStreams * each; i < chunks; ++i) FoldChunk(p + i * kReadChunkBytes, folds);
  return XorOf(folds);
}

constexpr std::array<ReadWay, 2> kAvx2Ways = {FoldAvx2, FoldStreamsAvx2};
constexpr std::array<ReadWay, 1> kAvx512Ways = {FoldAvx512};

// Calls body(data, chunks) with the share of each of the threads.
template <typename Byte, typename Body>
void ForEachShare(device::Stream& stream, Byte* data, size_t chunks, const Body& body) {
  stream.pool().ParallelFor(static_cast<int64_t>(chunks), [&](int64_t begin, int64_t end, int) {
    body(data + static_cast<size_t>(begin) * kReadChunkBytes, static_cast<size_t>(end - begin));
  });
}

}  // namespace

std::span<const ReadWay> ReadWays(device::Isa isa) {
  if (isa == device::Isa::kAvx2) return kAvx2Ways;
  return kAvx512Ways;
}

double SecondsOfReading(device::Stream& stream, ReadWay way, const void* data, size_t bytes) {
  std::atomic<uint64_t> keep{0};
  return Seconds([&] {
    ForEachShare(stream, static_cast<const uint8_t*>(data), bytes / kReadChunkBytes,
                 [&](const uint8_t* share, size_t chunks) {
                   keep.fetch_add(way(share, chunks), std::memory_order_relaxed);
                 });
  });
}

double ReadBytesPerSecond(device::Stream& stream, size_t bytes) {
  constexpr size_t kPasses = 4;
  const size_t chunks = std::max<size_t>(bytes / kReadChunkBytes, 1);
  const device::Buffer buffer(chunks * kReadChunkBytes);
  // Each share is written by the thread that will read it, so that it lies near its core.
  ForEachShare(stream, buffer.as<uint8_t>(), chunks, [](uint8_t* share, size_t count) {
    std::memset(share, 1, count * kReadChunkBytes);
  });
  double best_s = 1e30;
  const std::span<const ReadWay> ways = ReadWays(stream.isa());
  for (size_t pass = 0; pass < kPasses; ++pass) {
    const ReadWay way = ways[pass % ways.size()];
    best_s = std::min(best_s, SecondsOfReading(stream, way, buffer.data(), buffer.bytes()));
  }
  return static_cast<double>(buffer.bytes()) / best_s;
}

}  // namespace autodist::measure
