// Quantised weights: Linear() with one row and with a prompt, by format, instruction set and
// threads, and quantising itself. One row is bound by reading the codes and scales once: compare
// its bytes/s with those of "read", which only adds up a buffer of the same size.
//   quantise_bench --benchmark_filter='read|linear/int4/avx512bf16'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "autodist/core/random.h"
#include "autodist/device/buffer.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/quantise.h"

namespace autodist::kernels {
namespace {

using core::DType;
using core::WeightFormat;

void FillWithBits(const device::Buffer& buffer) {
  for (size_t i = 0; i < buffer.bytes() / 8; ++i)
    buffer.as<uint64_t>()[i] = core::RandomBits(1, 0, i) & 0x3bff3bff3bff3bffu;  // finite scales
}

void RunLinear(benchmark::State& state, WeightFormat format, device::Isa isa, int threads,
               int64_t m, int64_t k, int64_t n) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const PackedLayout layout(format, n, k);
  const device::Buffer weight(layout.bytes());
  FillWithBits(weight);
  const device::Buffer x(static_cast<size_t>(m * k) * sizeof(core::BFloat16));
  std::fill_n(x.as<uint16_t>(), m * k, uint16_t{0x3f80});
  const device::Buffer y(static_cast<size_t>(m * n) * sizeof(float));
  for (auto _ : state) {
    Linear(stream, {x.data(), DType::kBF16, m, k}, {layout, weight.data()},
           {y.data(), DType::kF32, m, n});
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(layout.bytes()));
  state.counters["flop/s"] = benchmark::Counter(2.0 * static_cast<double>(m * k * n),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void RunRead(benchmark::State& state, int threads, int64_t bytes) {
  device::ThreadPool pool(threads);
  const device::Buffer buffer(static_cast<size_t>(bytes));
  FillWithBits(buffer);
  for (auto _ : state) {
    pool.ParallelFor(bytes / 64, [&](int64_t begin, int64_t end, int) {
      uint64_t sums[8] = {};
      const uint64_t* const words = buffer.as<uint64_t>();
      for (int64_t line = begin; line < end; ++line) {
        __builtin_prefetch(words + line * 8 + 1024);
        for (int i = 0; i < 8; ++i) sums[i] += words[line * 8 + i];
      }
      benchmark::DoNotOptimize(sums);
    });
  }
  state.SetBytesProcessed(state.iterations() * bytes);
}

void RunQuantise(benchmark::State& state, WeightFormat format, device::Isa isa) {
  constexpr int64_t kN = 256, kK = 4096;
  device::ThreadPool pool(1);
  device::Stream stream(pool, isa);
  const PackedLayout layout(format, kN, kK);
  const device::Buffer packed(layout.bytes());
  const device::Buffer w(static_cast<size_t>(kN * kK) * sizeof(float));
  for (int64_t i = 0; i < kN * kK; ++i)
    w.as<float>()[i] =
        static_cast<float>(core::UniformDouble(1, 0, static_cast<uint64_t>(i)) - 0.5);
  for (auto _ : state)
    QuantiseRows(stream, {w.data(), DType::kF32, kN, kK}, layout, 0, packed.data());
  state.SetItemsProcessed(state.iterations() * kN * kK);
}

void Register() {
  for (const int threads : {1, device::UsableCores()}) {
    for (const int64_t bytes : {int64_t{292} << 20, int64_t{552} << 20}) {
      benchmark::RegisterBenchmark(
          fmt::format("read/threads:{}/{}MiB", threads, bytes >> 20).c_str(), RunRead, threads,
          bytes)
          ->UseRealTime();
    }
  }
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4}) {
    for (const device::Isa isa : device::SupportedIsas()) {
      const std::string name = fmt::format("{}/{}", core::NameOf(format), device::NameOf(isa));
      for (const int threads : {1, device::UsableCores()}) {
        for (const int64_t m : {1, 2, 4, 8, 16, 32, 512}) {
          const int64_t n = m == 512 ? 4864 : m == 1 ? 607744 : 151936;
          benchmark::RegisterBenchmark(
              fmt::format("linear/{}/threads:{}/{}x896x{}", name, threads, m, n).c_str(), RunLinear,
              format, isa, threads, m, 896, n)
              ->UseRealTime();
        }
      }
      benchmark::RegisterBenchmark(fmt::format("quantise/{}", name).c_str(), RunQuantise, format,
                                   isa);
    }
  }
}

const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace autodist::kernels
