// Attention() of prompts and of single tokens, and the bounds of both.
//
//   prompt/*    flop/s of the visible half of both products
//   products/*  flop/s of the same two products as Linear() computes them, per q head: [T, D] x [D,
//   T]
//               and [T, T] x [T, D]
//   decode/*    bytes/s of keys and values
//   read/*      bytes/s of reading as much memory
//   write/*     KvWrite(): bytes/s of what it reads and writes
// Repetitions of different benchmarks compare only when they take turns:
//   attention_bench --benchmark_filter='amx/threads:2/' --benchmark_repetitions=7
//     --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/kernels/attention.h"
#include "autodist/kernels/matmul.h"

namespace autodist::kernels {
namespace {

using core::DType;

struct Shape {
  int64_t sequences, tokens, first_position;
  int64_t q_heads, kv_heads, head_dim;

  int64_t length() const { return first_position + tokens; }
  std::string Name() const {
    return fmt::format("{}x{}/behind:{}/heads:{}:{}/dim:{}", sequences, tokens, first_position,
                       q_heads, kv_heads, head_dim);
  }
};

// Numbers that are neither zero nor subnormal.
device::Buffer Ones(size_t bytes) {
  device::Buffer buffer(bytes);
  std::fill_n(buffer.as<uint16_t>(), bytes / 2, uint16_t{0x3c00});
  return buffer;
}

// Sequences with a full cache: the pages of all in one piece of memory, as infer/kv_cache.h has
// them.
class Cache {
 public:
  Cache(const KvPageLayout& layout, const Shape& shape)
      : memory_(Ones(static_cast<size_t>(shape.sequences * Pages(layout, shape)) * 2 *
                     layout.page_bytes())) {
    uint8_t* at = memory_.as<uint8_t>();
    k_pages_.resize(static_cast<size_t>(shape.sequences));
    v_pages_ = k_pages_;
    for (size_t i = 0; i < k_pages_.size(); ++i) {
      for (int64_t page = 0; page < Pages(layout, shape); ++page, at += 2 * layout.page_bytes()) {
        k_pages_[i].push_back(at);
        v_pages_[i].push_back(at + layout.page_bytes());
      }
      sequences_.push_back({static_cast<int64_t>(i) * shape.tokens, shape.tokens,
                            shape.first_position, k_pages_[i], v_pages_[i]});
    }
  }
  const std::vector<KvSequence>& sequences() const { return sequences_; }

 private:
  static int64_t Pages(const KvPageLayout& layout, const Shape& shape) {
    return (shape.length() + layout.page_tokens - 1) / layout.page_tokens;
  }

  device::Buffer memory_;
  std::vector<std::vector<void*>> k_pages_, v_pages_;
  std::vector<KvSequence> sequences_;
};

void SetRate(benchmark::State& state, const char* name, double amount) {
  state.counters[name] = benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
}

double VisibleFlop(const Shape& shape) {
  const auto tokens = static_cast<double>(shape.sequences * shape.tokens);
  const double seen =
      static_cast<double>(shape.first_position) + static_cast<double>(shape.tokens + 1) / 2;
  return 4 * tokens * seen * static_cast<double>(shape.q_heads * shape.head_dim);
}

double CacheBytes(DType dtype, const Shape& shape) {
  return static_cast<double>(shape.sequences * shape.length() * 2 * shape.kv_heads *
                             shape.head_dim) *
         static_cast<double>(core::SizeOf(dtype));
}

void RunAttention(benchmark::State& state, DType dtype, device::Isa isa, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const KvPageLayout layout{dtype, shape.kv_heads, 64, shape.head_dim};
  const Cache cache(layout, shape);
  const int64_t rows = shape.sequences * shape.tokens;
  const int64_t width = shape.q_heads * shape.head_dim;
  const device::Buffer q(static_cast<size_t>(rows * width) * sizeof(float));
  const device::Buffer out(static_cast<size_t>(rows * width) * sizeof(float));
  for (int64_t i = 0; i < rows * width; ++i) q.as<float>()[i] = static_cast<float>(i % 7);
  std::vector<int32_t> kv_head_of_q;
  for (int64_t head = 0; head < shape.q_heads; ++head) {
    kv_head_of_q.push_back(static_cast<int32_t>(head * shape.kv_heads / shape.q_heads));
  }
  const AttentionOptions options{1.0f / std::sqrt(static_cast<float>(shape.head_dim)), 0,
                                 kv_head_of_q};
  for (auto _ : state) {
    Attention(stream, {q.data(), DType::kF32, rows, width}, cache.sequences(), layout, options,
              {out.data(), DType::kF32, rows, width});
  }
  SetRate(state, "flop/s", VisibleFlop(shape));
  SetRate(state, "bytes/s", CacheBytes(dtype, shape));
}

void RunProducts(benchmark::State& state, DType dtype, device::Isa isa, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const int64_t tokens = shape.tokens;
  const int64_t dim = shape.head_dim;
  const PackedLayout keys(dtype, tokens, dim), values(dtype, dim, tokens);
  const device::Buffer k = Ones(keys.bytes()), v = Ones(values.bytes());
  const size_t size = core::SizeOf(dtype);
  const device::Buffer q = Ones(static_cast<size_t>(tokens * dim) * size);
  const device::Buffer weights = Ones(static_cast<size_t>(tokens * tokens) * size);
  const device::Buffer scores(static_cast<size_t>(tokens * tokens) * sizeof(float));
  const device::Buffer out(static_cast<size_t>(tokens * dim) * sizeof(float));
  for (auto _ : state) {
    Linear(stream, {q.data(), dtype, tokens, dim}, {keys, k.data()},
           {scores.data(), DType::kF32, tokens, tokens});
    Linear(stream, {weights.data(), dtype, tokens, tokens}, {values, v.data()},
           {out.data(), DType::kF32, tokens, dim});
  }
  SetRate(state, "flop/s", 4 * static_cast<double>(tokens * tokens * dim));
}

void RunRead(benchmark::State& state, DType dtype, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  const device::Buffer memory = Ones(static_cast<size_t>(CacheBytes(dtype, shape)));
  const auto lines = static_cast<int64_t>(memory.bytes() / 64);
  std::vector<uint64_t> sums(static_cast<size_t>(threads) * 8);
  for (auto _ : state) {
    pool.ParallelFor(lines, [&](int64_t begin, int64_t end, int worker) {
      uint64_t sum[4] = {};
      const uint64_t* const words = memory.as<uint64_t>();
      for (int64_t i = begin * 8; i + 32 <= end * 8; i += 32) {  // one word of each line
        for (int64_t line = 0; line < 4; ++line) sum[line] += words[i + line * 8];
      }
      sums[static_cast<size_t>(worker) * 8] = sum[0] + sum[1] + sum[2] + sum[3];
    });
    benchmark::DoNotOptimize(sums.data());
  }
  SetRate(state, "bytes/s", CacheBytes(dtype, shape));
}

void RunKvWrite(benchmark::State& state, DType dtype, device::Isa isa, int threads, Shape shape) {
  device::ThreadPool pool(threads);
  device::Stream stream(pool, isa);
  const KvPageLayout layout{dtype, shape.kv_heads, 64, shape.head_dim};
  const Cache cache(layout, shape);
  const int64_t rows = shape.sequences * shape.tokens;
  const int64_t width = shape.kv_heads * shape.head_dim;
  const device::Buffer kv = Ones(static_cast<size_t>(rows * 2 * width) * sizeof(float));
  const core::ConstTensorView both(kv.as<float>(), rows, 2 * width);
  for (auto _ : state) {
    KvWrite(stream, both.Cols(0, width), both.Cols(width, width), cache.sequences(), layout);
  }
  SetRate(state, "bytes/s",
          static_cast<double>(rows * 2 * width) *
              static_cast<double>(sizeof(float) + core::SizeOf(dtype)));
}

void Register() {
  const Shape prompts[] = {{1, 512, 0, 14, 2, 64},  {1, 512, 0, 16, 16, 64},
                           {1, 2048, 0, 14, 2, 64}, {1, 8192, 0, 14, 2, 64},
                           {1, 2048, 0, 32, 8, 64}, {1, 2048, 0, 16, 16, 128}};
  const Shape decodes[] = {{1, 1, 511, 14, 2, 64},   {1, 1, 8191, 14, 2, 64},
                           {8, 1, 511, 14, 2, 64},   {32, 1, 511, 14, 2, 64},
                           {32, 1, 511, 32, 8, 64},  {1, 1, 8191, 32, 8, 64},
                           {1, 1, 8191, 16, 16, 128}};
  const auto add = [](const std::string& kind, DType dtype, const std::string& isa, int threads,
                      const Shape& shape, auto run) {
    const std::string name = fmt::format("{}/{}/{}/threads:{}/{}", kind, core::NameOf(dtype), isa,
                                         threads, shape.Name());
    benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
  };
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    for (const int threads : {1, device::UsableCores()}) {
      for (const device::Isa isa : device::SupportedIsas()) {
        const std::string isa_name(device::NameOf(isa));
        for (const Shape& shape : prompts) {
          add("prompt", dtype, isa_name, threads, shape,
              [=](benchmark::State& state) { RunAttention(state, dtype, isa, threads, shape); });
        }
        for (const Shape& shape : {prompts[0], prompts[2], prompts[3]}) {
          add("products", dtype, isa_name, threads, shape,
              [=](benchmark::State& state) { RunProducts(state, dtype, isa, threads, shape); });
        }
        for (const Shape& shape : decodes) {
          add("decode", dtype, isa_name, threads, shape,
              [=](benchmark::State& state) { RunAttention(state, dtype, isa, threads, shape); });
        }
        for (const Shape& shape : {prompts[0], decodes[3]}) {
          add("write", dtype, isa_name, threads, shape,
              [=](benchmark::State& state) { RunKvWrite(state, dtype, isa, threads, shape); });
        }
      }
      for (const Shape& shape : decodes) {
        add("read", dtype, "any", threads, shape,
            [=](benchmark::State& state) { RunRead(state, dtype, threads, shape); });
      }
    }
  }
}

const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace autodist::kernels
