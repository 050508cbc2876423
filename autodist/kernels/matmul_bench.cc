// Linear() by shape, dtype, instruction set and threads. Two limits to compare with: the flop/s of
// the best shape, and for few rows the bytes/s of reading the weights once (the weights of a shape
// are larger than most caches).
//   matmul_bench --benchmark_filter='bf16/amx'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "autodist/device/buffer.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels {
namespace {

using core::DType;

struct Shape {
  int64_t m, k, n;
};

void RunLinear(benchmark::State& state, DType dtype, device::Isa isa, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const PackedLayout layout(dtype, shape.n, shape.k);
  const device::Buffer weight(layout.bytes());
  const device::Buffer x(static_cast<size_t>(shape.m * shape.k) * core::SizeOf(dtype));
  const device::Buffer y(static_cast<size_t>(shape.m * shape.n) * sizeof(float));
  // 1.0 in bf16 pairs, near 1.0 in f32: no subnormal slows anything down.
  std::fill_n(weight.as<uint16_t>(), weight.bytes() / 2, uint16_t{0x3f80});
  std::fill_n(x.as<uint16_t>(), x.bytes() / 2, uint16_t{0x3f80});
  for (auto _ : state) {
    Linear(stream, {x.data(), dtype, shape.m, shape.k}, {layout, weight.data()},
           {y.data(), DType::kF32, shape.m, shape.n});
  }
  const auto flop = 2.0 * static_cast<double>(shape.m * shape.k * shape.n);
  state.counters["flop/s"] =
      benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(layout.bytes()));
}

void Register() {
  const Shape shapes[] = {{1, 896, 151936}, {1, 3584, 18944}, {4, 896, 4864},   {8, 3584, 18944},
                          {8, 896, 4864},   {16, 896, 4864},  {64, 896, 4864},  {512, 896, 1152},
                          {512, 896, 896},  {512, 896, 4864}, {512, 4864, 896}, {512, 2048, 8192},
                          {512, 8192, 2048}};
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    for (const device::Isa isa : device::SupportedIsas()) {
      for (const int threads : {1, device::UsableCores()}) {
        for (const Shape& shape : shapes) {
          const std::string name =
              fmt::format("{}/{}/threads:{}/{}x{}x{}", core::NameOf(dtype), device::NameOf(isa),
                          threads, shape.m, shape.k, shape.n);
          benchmark::RegisterBenchmark(name.c_str(), RunLinear, dtype, isa, threads, shape)
              ->UseRealTime();
        }
      }
    }
  }
}

const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace autodist::kernels
