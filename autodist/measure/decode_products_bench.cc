// The products of a decode step, weights from memory, beside reading the same weights.
//
//   decode_products_bench [THREADS [ROUNDS]]
//
// Qwen2.5-0.5B's shape, one row, for each weight format: in a round all products of a step in their
// order, then reading the same weights in the same order, once in each of the ReadWays(). What
// follows so closely meets the same memory rate, which on shared machines moves from second to
// second. Prints for each kind of product, and for all of a step, the median and range over the
// rounds of GB/s and of its share of the faster reading.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/weight_format.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/kernels/matmul.h"
#include "autodist/measure/machine_limits.h"
#include "autodist/measure/seconds.h"
#include "autodist/measure/statistics.h"

namespace autodist::measure {
namespace {

using core::DType;
using core::WeightFormat;
using kernels::PackedLayout;

struct Kind {
  std::string_view name;
  int64_t n, k;
  bool gated;
};
constexpr Kind kLayerKinds[] = {{"qkv_proj", 1152, 896, false},
                                {"o_proj", 896, 896, false},
                                {"gate_up_proj", 9728, 896, true},
                                {"down_proj", 896, 4864, false}};
constexpr Kind kHead = {"lm_head", 151936, 896, false};
constexpr int kLayers = 24;

// One product with a weight of its own.
struct Product {
  Product(const Kind& of_kind, WeightFormat format)
      : kind(of_kind), layout(format, kind.n, kind.k), weight(layout.bytes()) {
    // Scales and codes, or floats, whose products are neither subnormal nor infinite.
    std::memset(weight.data(), 0x2d, weight.bytes());
  }
  Kind kind;
  PackedLayout layout;
  device::Buffer weight;
};

std::vector<Product> ProductsOfStep(WeightFormat format) {
  std::vector<Product> products;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const Kind& kind : kLayerKinds) products.emplace_back(kind, format);
  }
  products.emplace_back(kHead, format);
  return products;
}

// What every product is computed from and to: rows of the widest.
class Rows {
 public:
  Rows() : x_(2 * kMost), y_(4 * kMost), gated_(2 * kMost) {
    std::memset(x_.data(), 0x2d, x_.bytes());
  }

  void Multiply(device::Stream& stream, const Product& product) const {
    const Kind& kind = product.kind;
    const core::ConstTensorView x_MK(x_.data(), DType::kBF16, 1, kind.k);
    const core::TensorView y_MN(y_.data(), DType::kF32, 1, kind.n);
    const kernels::PackedWeight weight{product.layout, product.weight.data()};
    if (!kind.gated) return kernels::Linear(stream, x_MK, weight, y_MN);
    kernels::LinearGated(stream, x_MK, weight, {}, kernels::ActivationKind::kSilu, y_MN,
                         {gated_.data(), DType::kBF16, 1, kind.n / 2});
  }

 private:
  static constexpr size_t kMost = kHead.n;
  device::Buffer x_, y_, gated_;
};

// Seconds of each product of a step in one round.
struct Round {
  std::vector<double> multiplying_s;
  std::vector<std::vector<double>> reading_s;  // of each way
};

Round RunRound(device::Stream& stream, const std::vector<Product>& products, const Rows& rows) {
  const auto seconds = [&](const auto& seconds_of) {
    std::vector<double> of_each;
    for (const Product& product : products) of_each.push_back(seconds_of(product));
    return of_each;
  };
  Round round;
  round.multiplying_s = seconds(
      [&](const Product& product) { return Seconds([&] { rows.Multiply(stream, product); }); });
  for (const ReadWay way : ReadWays(stream.isa())) {
    round.reading_s.push_back(seconds([&](const Product& product) {
      return SecondsOfReading(stream, way, product.weight.data(), product.weight.bytes());
    }));
  }
  return round;
}

struct Sample {
  double gb_per_s, of_reading;
};

// Of the products of a kind; of all where `name` is empty.
Sample SampleOf(const Round& round, const std::vector<Product>& products, std::string_view name) {
  const auto sum = [&](const auto& value_of) {
    double total = 0;
    for (size_t i = 0; i < products.size(); ++i) {
      if (name.empty() || products[i].kind.name == name) total += value_of(i);
    }
    return total;
  };
  const double bytes =
      sum([&](size_t i) { return static_cast<double>(products[i].weight.bytes()); });
  const double multiplying_s = sum([&](size_t i) { return round.multiplying_s[i]; });
  double reading_s = 1e30;
  for (const std::vector<double>& way : round.reading_s)
    reading_s = std::min(reading_s, sum([&](size_t i) { return way[i]; }));
  return {bytes / multiplying_s / 1e9, reading_s / multiplying_s};
}

// "median (least to most)"
template <typename ValueOf>
std::string Spread(const std::vector<Sample>& samples, int digits, const ValueOf& value_of) {
  const auto [least, most] = std::minmax_element(
      samples.begin(), samples.end(),
      [&](const Sample& a, const Sample& b) { return value_of(a) < value_of(b); });
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", Median(samples, value_of), digits,
                     value_of(*least), digits, value_of(*most), digits);
}

void Print(device::Stream& stream, WeightFormat format, int rounds) {
  const std::vector<Product> products = ProductsOfStep(format);
  const Rows rows;
  RunRound(stream, products, rows);  // not counted: touches what only it writes
  std::vector<Round> all;
  for (int round = 0; round < rounds; ++round) all.push_back(RunRound(stream, products, rows));
  std::vector<std::string_view> names;
  for (const Kind& kind : kLayerKinds) names.push_back(kind.name);
  names.insert(names.end(), {kHead.name, ""});
  for (const std::string_view name : names) {
    std::vector<Sample> samples;
    for (const Round& round : all) samples.push_back(SampleOf(round, products, name));
    fmt::print("{:<9} {:<13} {} GB/s, {} of reading\n", core::NameOf(format),
               name.empty() ? "step" : name,
               Spread(samples, 1, [](const Sample& sample) { return sample.gb_per_s; }),
               Spread(samples, 2, [](const Sample& sample) { return sample.of_reading; }));
  }
}

// Exits with 2 when the text is no positive number.
int PositiveNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && number > 0) return number;
  fmt::print(stderr, "{}: a positive number is needed\n", text);
  std::exit(2);
}

int Main(std::span<char* const> arguments) {
  if (arguments.size() > 3) {
    fmt::print(stderr, "usage: {} [THREADS [ROUNDS]]\n", arguments[0]);
    return 2;
  }
  const int threads = arguments.size() > 1 ? PositiveNumber(arguments[1]) : device::UsableCores();
  const int rounds = arguments.size() > 2 ? PositiveNumber(arguments[2]) : 15;
  device::ThreadPool pool(threads);
  device::Stream stream(pool, device::DetectIsa());
  for (const WeightFormat format : {WeightFormat::kBF16, WeightFormat::kInt8, WeightFormat::kInt4})
    Print(stream, format, rounds);
  return 0;
}

}  // namespace
}  // namespace autodist::measure

int main(int argc, char** argv) {
  return autodist::measure::Main({argv, static_cast<size_t>(argc)});
}
