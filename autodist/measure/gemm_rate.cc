#include "autodist/measure/gemm_rate.h"

#include <algorithm>
#include <cstring>

#include "autodist/core/check.h"
#include "autodist/device/buffer.h"
#include "autodist/kernels/matmul.h"
#include "autodist/measure/seconds.h"

namespace autodist::measure {
namespace {

constexpr int64_t kSliceMultiple = 64;  // outputs: no thread's slice ends within a vector or a tile

device::Buffer Filled(size_t bytes) {
  device::Buffer buffer(bytes);
  std::memset(buffer.data(), 0x3f, bytes);  // 0x3f3f... is near 0.75 in f32 and in bf16
  return buffer;
}

}  // namespace

class GemmRate::Product {
 public:
  Product(device::Stream& stream, core::DType dtype, int64_t rows, const GemmShape& shape)
      : flops_(2.0 * static_cast<double>(rows) * static_cast<double>(shape.n) *
               static_cast<double>(shape.k)),
        count_(static_cast<double>(shape.count)) {
    const int64_t blocks = (shape.n + kSliceMultiple - 1) / kSliceMultiple;
    const int64_t threads = std::min<int64_t>(stream.pool().threads(), blocks);
    for (int64_t t = 0; t < threads; ++t) {
      const int64_t first = blocks * t / threads * kSliceMultiple;
      const int64_t last = std::min(shape.n, blocks * (t + 1) / threads * kSliceMultiple);
      slices_.push_back(MakeGemmSlice(dtype, stream.isa(), rows, last - first, shape.k));
    }
    if (std::find(slices_.begin(), slices_.end(), nullptr) != slices_.end()) slices_.clear();
    layout_ = kernels::PackedLayout(dtype, shape.n, shape.k);
    weight_ = Filled(layout_.bytes());
    x_bytes_ = Filled(static_cast<size_t>(rows * shape.k) * core::SizeOf(dtype));
    y_bytes_ = device::Buffer(static_cast<size_t>(rows * shape.n) * sizeof(float));
    x_ = core::ConstTensorView(x_bytes_.data(), dtype, rows, shape.k);
    y_ = core::TensorView(y_bytes_.as<float>(), rows, shape.n);
  }

  bool has_one_dnn() const { return !slices_.empty(); }
  double flops() const { return flops_ * count_; }

  // The best time of all `count` products.
  template <typename Run>
  double BestSeconds(const Run& run) const {
    run();
    double best_s = 1e30;
    const auto begin = Clock::now();
    for (int repeat = 0; repeat < 3 || SecondsSince(begin) < 0.03; ++repeat)
      best_s = std::min(best_s, Seconds(run));
    return best_s * count_;
  }

  void RunOneDnn(device::Stream& stream) {
    stream.pool().ParallelFor(static_cast<int64_t>(slices_.size()),
                              [&](int64_t begin, int64_t end, int) {
                                for (int64_t i = begin; i < end; ++i)
                                  slices_[static_cast<size_t>(i)]->Run();
                              });
  }
  void RunOwn(device::Stream& stream) {
    kernels::Linear(stream, x_, {layout_, weight_.data()}, y_);
  }

 private:
  double flops_;
  double count_;
  std::vector<std::unique_ptr<GemmSlice>> slices_;  // one per thread; empty: no oneDNN
  kernels::PackedLayout layout_;
  device::Buffer weight_, x_bytes_, y_bytes_;
  core::ConstTensorView x_;
  core::TensorView y_;
};

GemmRate::GemmRate(device::Stream& stream, core::DType dtype, int64_t rows,
                   std::vector<GemmShape> shapes)
    : stream_(stream) {
  AUTODIST_CHECK(rows >= 1 && !shapes.empty());
  for (const GemmShape& shape : shapes)
    products_.push_back(std::make_unique<Product>(stream, dtype, rows, shape));
}

GemmRate::~GemmRate() = default;

double GemmRate::FlopsPerSecond() {
  double flops = 0, own_s = 0, one_dnn_s = 0;
  bool one_dnn = true;
  for (const auto& product : products_) {
    flops += product->flops();
    own_s += product->BestSeconds([&] { product->RunOwn(stream_); });
    one_dnn = one_dnn && product->has_one_dnn();
    if (one_dnn) one_dnn_s += product->BestSeconds([&] { product->RunOneDnn(stream_); });
  }
  one_dnn = one_dnn && one_dnn_s < own_s;
  engine_ = one_dnn ? "oneDNN" : "autodist";
  return flops / (one_dnn ? one_dnn_s : own_s);
}

}  // namespace autodist::measure
