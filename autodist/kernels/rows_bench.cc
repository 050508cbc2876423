// The kernels that walk along rows, at the widths of a decoder layer (qwen2.5-0.5b, 512 tokens):
// bytes/s of what each reads and writes, everything once. The bound is copy/*, memcpy() of f32
// matrices of the two widths; like the kernels', its data come from the caches that they fit. But
// embed_packed/* looks up other rows each time, which come from memory, and of each cache line
// uses one bf16 pair or one f32.
//   rows_bench --benchmark_repetitions=7 --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/elementwise.h"
#include "autodist/kernels/embedding.h"
#include "autodist/kernels/norm.h"
#include "autodist/kernels/rope.h"

namespace autodist::kernels {
namespace {

using core::DType;
using core::TensorView;

constexpr int64_t kTokens = 512;
constexpr int64_t kHidden = 896;
constexpr int64_t kFfn = 4864;
constexpr int64_t kHeadDim = 64;
constexpr int64_t kQkCols = 16 * kHeadDim;  // 14 heads of q, 2 of k
constexpr int64_t kVocabulary = 151936;

// A matrix of its own, of numbers that are neither zero nor subnormal.
class Matrix {
 public:
  Matrix(DType dtype, int64_t rows, int64_t cols)
      : buffer_(static_cast<size_t>(rows * cols) * core::SizeOf(dtype)),
        view_(buffer_.data(), dtype, rows, cols) {
    std::fill_n(buffer_.as<uint16_t>(), buffer_.bytes() / 2, uint16_t{0x3e00});
  }
  TensorView view() const { return view_; }

 private:
  device::Buffer buffer_;
  TensorView view_;
};

struct Case {
  std::string name;
  double bytes;
  std::function<void(device::Stream&)> run;
};

// Each owns what it works on. `out` is the dtype of what matrix products take next.
std::vector<Case> Cases(DType out) {
  const auto matrix = [](DType dtype, int64_t rows, int64_t cols) {
    return std::make_shared<Matrix>(dtype, rows, cols);
  };
  const auto bytes = [](auto... matrices) {
    return (static_cast<double>(matrices->view().bytes()) + ...);
  };
  std::vector<Case> cases;
  {
    const auto gate_up = matrix(DType::kF32, kTokens, 2 * kFfn);
    const auto y = matrix(out, kTokens, kFfn);
    cases.push_back({"silu_gated", bytes(gate_up, y), [=](device::Stream& stream) {
                       ActivateGated(stream, ActivationKind::kSilu, gate_up->view().Cols(0, kFfn),
                                     gate_up->view().Cols(kFfn, kFfn), y->view());
                     }});
  }
  {
    const auto x = matrix(DType::kF32, kTokens, kHidden), weight = matrix(DType::kF32, 1, kHidden);
    const auto y = matrix(out, kTokens, kHidden), sum = matrix(DType::kF32, kTokens, kHidden);
    cases.push_back({"rms_norm", bytes(x, y), [=](device::Stream& stream) {
                       RmsNorm(stream, x->view(), weight->view(), 1e-6f, y->view());
                     }});
    cases.push_back({"add", bytes(x, sum, sum),
                     [=](device::Stream& stream) { Add(stream, x->view(), sum->view()); }});
    cases.push_back({"convert", bytes(x, y),
                     [=](device::Stream& stream) { Convert(stream, x->view(), y->view()); }});
  }
  {
    const auto x = matrix(DType::kF32, kTokens, kQkCols);
    std::vector<int32_t> positions(static_cast<size_t>(kTokens));
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<float> frequencies(static_cast<size_t>(kHeadDim / 2), 0.01f);
    const auto table = std::make_shared<RopeTable>(MakeRopeTable(frequencies, 1.0f, kTokens));
    cases.push_back({"rope", bytes(x, x), [=](device::Stream& stream) {
                       Rope(stream, positions, *table, kHeadDim, x->view());
                     }});
  }
  {
    const auto y = matrix(DType::kF32, kTokens, kHidden);
    const PackedLayout layout(out, kVocabulary, kHidden);
    const auto weight = std::make_shared<device::Buffer>(layout.bytes());
    std::fill_n(weight->as<uint16_t>(), weight->bytes() / 2, uint16_t{0x3e00});
    // Others in each run: rows of a vocabulary come from memory.
    const auto ids = std::make_shared<std::vector<int32_t>>(static_cast<size_t>(kTokens));
    for (size_t i = 0; i < ids->size(); ++i) {
      (*ids)[i] = static_cast<int32_t>(i * 7919 % kVocabulary);
    }
    const double table_bytes =
        static_cast<double>(kTokens * kHidden) * static_cast<double>(core::SizeOf(out));
    cases.push_back({"embed_packed", bytes(y) + table_bytes, [=](device::Stream& stream) {
                       for (int32_t& id : *ids) id = (id + 64) % kVocabulary;
                       Embed(stream, *ids, 0, PackedWeight{layout, weight->data()}, y->view());
                     }});
  }
  for (const int64_t width : {kHidden, kFfn}) {
    const auto x = matrix(DType::kF32, kTokens, width), y = matrix(DType::kF32, kTokens, width);
    cases.push_back({fmt::format("copy/{}", width), bytes(x, y), [=](device::Stream& stream) {
                       stream.pool().ParallelFor(kTokens, [&](int64_t begin, int64_t end, int) {
                         std::memcpy(y->view().row<float>(begin), x->view().row<float>(begin),
                                     static_cast<size_t>((end - begin) * width) * sizeof(float));
                       });
                     }});
  }
  return cases;
}

void Register() {
  for (const DType out : {DType::kBF16, DType::kF32}) {
    for (const Case& one : Cases(out)) {
      for (const device::Isa isa : device::SupportedIsas()) {
        for (const int threads : {1, device::UsableCores()}) {
          const std::string name = fmt::format("{}/{}/{}/threads:{}", one.name, core::NameOf(out),
                                               device::NameOf(isa), threads);
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
            device::ThreadPool pool(threads);
            device::Stream stream(pool, isa);
            for (auto _ : state) one.run(stream);
            state.counters["bytes/s"] =
                benchmark::Counter(one.bytes, benchmark::Counter::kIsIterationInvariantRate);
          })->UseRealTime();
        }
      }
    }
  }
}

const bool kRegistered = (Register(), true);

}  // namespace
}  // namespace autodist::kernels
