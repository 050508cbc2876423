#include "autodist/measure/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "autodist/device/buffer.h"
#include "autodist/kernels/matmul.h"

namespace autodist::measure {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Eight independent sums keep as many loads in flight as the compiler's vectors allow.
uint64_t SumWords(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  for (; i < count; ++i) sums[0] += words[i];
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace

double ReadBytesPerSecond(device::Stream& stream, size_t bytes) {
  const size_t words = std::max<size_t>(bytes / sizeof(uint64_t), 1);
  const device::Buffer buffer(words * sizeof(uint64_t));
  auto* data = buffer.as<uint64_t>();
  // Each part is written by the thread that will read it, so that it lies near its core.
  stream.pool().ParallelFor(static_cast<int64_t>(words), [&](int64_t begin, int64_t end, int) {
    std::memset(data + begin, 1, static_cast<size_t>(end - begin) * sizeof(uint64_t));
  });
  std::atomic<uint64_t> keep{0};
  double best_s = 1e30;
  for (int pass = 0; pass < 3; ++pass) {
    const auto start = Clock::now();
    stream.pool().ParallelFor(static_cast<int64_t>(words), [&](int64_t begin, int64_t end, int) {
      keep.fetch_add(SumWords(data + begin, static_cast<size_t>(end - begin)),
                     std::memory_order_relaxed);
    });
    best_s = std::min(best_s, SecondsSince(start));
  }
  return static_cast<double>(words * sizeof(uint64_t)) / best_s;
}

double GemmFlopsPerSecond(device::Stream& stream, core::DType dtype) {
  constexpr int64_t kM = 512, kN = 2048, kK = 2048;
  const kernels::PackedLayout layout(dtype, kN, kK);
  const device::Buffer weight(layout.bytes());
  const device::Buffer x(static_cast<size_t>(kM * kK) * core::SizeOf(dtype));
  const device::Buffer y(static_cast<size_t>(kM * kN) * sizeof(float));
  // 0x3f3f... is a number near 0.75 in f32 and in bf16.
  std::memset(weight.data(), 0x3f, weight.bytes());
  std::memset(x.data(), 0x3f, x.bytes());
  double best_s = 1e30;
  const auto begin = Clock::now();
  for (int repeat = 0; repeat < 3 || SecondsSince(begin) < 0.1; ++repeat) {
    const auto start = Clock::now();
    kernels::Linear(stream, core::ConstTensorView(x.data(), dtype, kM, kK), {layout, weight.data()},
                    core::TensorView(y.as<float>(), kM, kN));
    best_s = std::min(best_s, SecondsSince(start));
  }
  return 2.0 * kM * kN * kK / best_s;
}

}  // namespace autodist::measure
