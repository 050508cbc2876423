// Attention() of prompts and of single tokens. For single tokens compare bytes/s (of keys and
// values) with the machine's read bandwidth, for prompts flop/s (of the visible half of both
// products) with matmul_bench in f32.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/kernels/attention.h"

namespace autodist::kernels {
namespace {

using core::DType;

struct Shape {
  int64_t tokens, first_position;
  int64_t q_heads, kv_heads, head_dim;
};

void RunAttention(benchmark::State& state, DType dtype, device::Isa isa, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const KvPageLayout layout{dtype, shape.kv_heads, 64, shape.head_dim};
  const int64_t length = shape.first_position + shape.tokens;
  std::vector<device::Buffer> memory;
  std::vector<void*> k_pages, v_pages;
  for (int64_t page = 0; page * 64 < length; ++page) {
    for (std::vector<void*>* pages : {&k_pages, &v_pages}) {
      memory.emplace_back(layout.page_bytes());
      std::fill_n(memory.back().as<uint16_t>(), layout.page_bytes() / 2, uint16_t{0x3c00});
      pages->push_back(memory.back().data());
    }
  }
  const int64_t width = shape.q_heads * shape.head_dim;
  const device::Buffer q(static_cast<size_t>(shape.tokens * width) * sizeof(float));
  const device::Buffer out(static_cast<size_t>(shape.tokens * width) * sizeof(float));
  for (int64_t i = 0; i < shape.tokens * width; ++i) q.as<float>()[i] = static_cast<float>(i % 7);
  std::vector<int32_t> kv_head_of_q;
  for (int64_t head = 0; head < shape.q_heads; ++head) {
    kv_head_of_q.push_back(static_cast<int32_t>(head * shape.kv_heads / shape.q_heads));
  }
  const AttentionOptions options{1.0f / std::sqrt(static_cast<float>(shape.head_dim)), 0,
                                 kv_head_of_q};
  const KvSequence sequence{0, shape.tokens, shape.first_position, k_pages, v_pages};
  for (auto _ : state) {
    Attention(stream, {q.data(), DType::kF32, shape.tokens, width}, {&sequence, 1}, layout, options,
              {out.data(), DType::kF32, shape.tokens, width});
  }
  const double seen =
      static_cast<double>(shape.tokens) *
      (static_cast<double>(shape.first_position) + static_cast<double>(shape.tokens + 1) / 2);
  state.counters["flop/s"] = benchmark::Counter(4 * seen * static_cast<double>(width),
                                                benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(state.iterations() * 2 * static_cast<int64_t>(layout.page_bytes()) *
                          length / 64);
}

void Register() {
  const Shape shapes[] = {{512, 0, 14, 2, 64},   {2048, 0, 14, 2, 64}, {512, 0, 32, 8, 128},
                          {1, 511, 14, 2, 64},   {1, 8191, 14, 2, 64}, {1, 8191, 32, 8, 128},
                          {1, 8191, 16, 16, 128}};
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    for (const device::Isa isa : device::SupportedIsas()) {
      for (const int threads : {1, device::UsableCores()}) {
        for (const Shape& shape : shapes) {
          const std::string name =
              fmt::format("{}/{}/threads:{}/tokens:{}/behind:{}/heads:{}:{}/dim:{}",
                          core::NameOf(dtype), device::NameOf(isa), threads, shape.tokens,
                          shape.first_position, shape.q_heads, shape.kv_heads, shape.head_dim);
          benchmark::RegisterBenchmark(name.c_str(), RunAttention, dtype, isa, threads, shape)
              ->UseRealTime();
        }
      }
    }
  }
}

const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace autodist::kernels
