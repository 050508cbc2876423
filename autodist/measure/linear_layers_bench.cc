// oneDNN's time for the linear layers of a whole model: the limit of a prefill chunk, and of a
// decode step whose sequences are many enough to be bounded by products.
//
//   linear_layers_bench THREADS ROWS COUNTxNxK...
//
// COUNTxNxK: y [ROWS, N] = x [ROWS, K] w [K, N] in COUNT layers, each with weights of its own, so
// that they come from memory as a model's do. Layers go one after the other, each through all of
// its products; within a product each thread has a slice of N. bf16, f32 results, weights in
// oneDNN's own layout. Prints one line of JSON: the best of five passes, after one that is not
// counted. Machines that hide AMX's tiles from oneDNN need bench/show_amx_tiles.c.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/measure/gemm_slice.h"
#include "autodist/measure/seconds.h"

namespace autodist::measure {
namespace {

constexpr int kPasses = 5;
constexpr int64_t kSliceMultiple = 64;  // outputs

// "24x896x4864"; exits with 2 when it is anything else.
std::vector<int64_t> Numbers(std::string_view text, size_t count) {
  std::vector<int64_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool more = true; more;) {
    int64_t number = 0;
    const auto [after, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || number < 1) break;
    numbers.push_back(number);
    if (after == end && numbers.size() == count) return numbers;
    more = after != end && *after == 'x';
    at = after + 1;
  }
  fmt::print(stderr, "{}: {} positive numbers with x between them are needed\n", text, count);
  std::exit(2);
}

// One product of one layer, a slice per thread.
using Product = std::vector<std::unique_ptr<GemmSlice>>;

Product MakeProduct(int threads, int64_t rows, int64_t n, int64_t k) {
  Product slices;
  const int64_t blocks = (n + kSliceMultiple - 1) / kSliceMultiple;
  const int64_t parts = std::min<int64_t>(threads, blocks);
  for (int64_t t = 0; t < parts; ++t) {
    const int64_t first = blocks * t / parts * kSliceMultiple;
    const int64_t last = std::min(n, blocks * (t + 1) / parts * kSliceMultiple);
    slices.push_back(MakeGemmSlice(core::DType::kBF16, device::DetectIsa(), rows, last - first, k));
    if (slices.back() == nullptr) {
      fmt::print(stderr, "oneDNN is absent or has no bf16 products for this CPU\n");
      std::exit(1);
    }
  }
  return slices;
}

void Run(device::ThreadPool& pool, std::span<const Product> products) {
  for (const Product& slices : products)
    pool.ParallelFor(static_cast<int64_t>(slices.size()), [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) slices[static_cast<size_t>(i)]->Run();
    });
}

int Main(std::span<char* const> arguments) {
  if (arguments.size() < 4) {
    fmt::print(stderr, "usage: {} THREADS ROWS COUNTxNxK...\n", arguments[0]);
    return 2;
  }
  const int threads = static_cast<int>(Numbers(arguments[1], 1)[0]);
  const int64_t rows = Numbers(arguments[2], 1)[0];
  std::vector<std::vector<int64_t>> shapes;
  int64_t layers = 0;
  for (const char* text : arguments.subspan(3)) {
    shapes.push_back(Numbers(text, 3));
    layers = std::max(layers, shapes.back()[0]);
  }

  device::ThreadPool pool(threads);
  std::vector<Product> products;
  double flops = 0, weight_bytes = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const auto& shape : shapes) {
      if (layer >= shape[0]) continue;
      products.push_back(MakeProduct(threads, rows, shape[1], shape[2]));
      weight_bytes += 2.0 * static_cast<double>(shape[1] * shape[2]);
    }
  }
  flops = weight_bytes * static_cast<double>(rows);
  Run(pool, products);
  double best_s = 1e30;
  for (int pass = 0; pass < kPasses; ++pass)
    best_s = std::min(best_s, Seconds([&] { Run(pool, products); }));
  fmt::print("{{\"seconds\": {:.6f}, \"gflop_per_s\": {:.1f}, \"weight_gb_per_s\": {:.2f}}}\n",
             best_s, flops / best_s / 1e9, weight_bytes / best_s / 1e9);
  return 0;
}

}  // namespace
}  // namespace autodist::measure

int main(int argc, char** argv) {
  return autodist::measure::Main({argv, static_cast<size_t>(argc)});
}
