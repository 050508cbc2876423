#include "autodist/measure/calibration.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/device/buffer.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/attention.h"
#include "autodist/kernels/elementwise.h"
#include "autodist/kernels/matmul.h"
#include "autodist/kernels/norm.h"

namespace autodist::measure {
namespace {

using core::DType;
using core::TensorView;

constexpr size_t kReadBytesPerHost = size_t{512} << 20;  // more than caches hold
constexpr int64_t kRows = 512;                           // a chunk of a prompt
constexpr double kShortestS = 0.3;                       // of one measurement
constexpr double kLongestWaitS = 600;                    // for ranks that measure alone

// Numbers near 0.75 in f32 and in bf16: nothing is subnormal or overflows.
device::Buffer Filled(size_t bytes) {
  device::Buffer buffer(bytes);
  std::memset(buffer.data(), 0x3f, bytes);
  return buffer;
}

// Seconds per call, over the calls of at least kShortestS. All ranks make as many calls.
class Stopwatch {
 public:
  explicit Stopwatch(comm::Communicator& world) : world_(world) {}

  double Time(const std::function<void()>& body) const {
    body();  // touches all memory
    int64_t calls = 1;
    for (double taken_s = 0;; calls *= 2) {
      taken_s = Block(body, calls);
      // The slowest rank decides, so that all go on or stop together.
      float longest_s = static_cast<float>(taken_s);
      world_.AllReduce({&longest_s, 1, 1}, comm::ReduceOp::kMax).Wait();
      if (longest_s >= kShortestS) return taken_s / static_cast<double>(calls);
    }
  }

 private:
  double Block(const std::function<void()>& body, int64_t calls) const {
    world_.Barrier(kLongestWaitS);
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < calls; ++i) body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  comm::Communicator& world_;
};

// A product with weights that nobody else uses.
struct Product {
  Product(DType x_dtype, int64_t m, int64_t n, int64_t k)
      : dtype(x_dtype),
        layout(x_dtype, n, k),
        weight(Filled(layout.bytes())),
        x(Filled(static_cast<size_t>(m * k) * core::SizeOf(x_dtype))),
        y(static_cast<size_t>(m * n) * sizeof(float)),
        rows(m) {}

  void Run(device::Stream& stream) const {
    kernels::Linear(stream, core::ConstTensorView(x.data(), dtype, rows, layout.k),
                    {layout, weight.data()}, {y.as<float>(), rows, layout.n});
  }
  double bytes() const { return static_cast<double>(layout.bytes()); }
  double flops() const { return 2.0 * static_cast<double>(rows * layout.n * layout.k); }

  DType dtype;
  kernels::PackedLayout layout;
  device::Buffer weight;
  device::Buffer x;
  device::Buffer y;
  int64_t rows;
};

double ReadRate(const Stopwatch& stopwatch, device::Stream& stream, DType dtype, size_t bytes) {
  constexpr int64_t kInputs = 2048;
  const int64_t outputs = static_cast<int64_t>(bytes / core::SizeOf(dtype)) / kInputs;
  const Product product(dtype, 1, outputs, kInputs);
  return product.bytes() / stopwatch.Time([&] { product.Run(stream); });
}

// The shapes of a layer: square, wide, tall.
double FlopRate(const Stopwatch& stopwatch, device::Stream& stream, DType dtype) {
  std::vector<std::unique_ptr<Product>> products;
  double flops = 0;
  for (const auto& [n, k] : {std::pair{1024, 1024}, std::pair{8192, 1024}, std::pair{1024, 4096}}) {
    products.push_back(std::make_unique<Product>(dtype, kRows, n, k));
    flops += products.back()->flops();
  }
  const double seconds = stopwatch.Time([&] {
    for (const auto& product : products) product->Run(stream);
  });
  return flops / seconds;
}

double AttentionRate(const Stopwatch& stopwatch, device::Stream& stream, DType dtype) {
  constexpr int64_t kHeads = 16, kKvHeads = 4, kHeadDim = 64, kPageTokens = 64;
  const kernels::KvPageLayout layout{
      .dtype = dtype, .kv_heads = kKvHeads, .page_tokens = kPageTokens, .head_dim = kHeadDim};
  constexpr int64_t kPages = 2 * kRows / kPageTokens;
  const device::Buffer cache = Filled(2 * kPages * layout.page_bytes());
  std::vector<void*> pages[2];
  for (size_t i = 0; i < 2 * kPages; ++i)
    pages[i % 2].push_back(cache.as<std::byte>() + i * layout.page_bytes());
  std::vector<int32_t> kv_head_of_q;
  for (int64_t head = 0; head < kHeads; ++head)
    kv_head_of_q.push_back(static_cast<int32_t>(head * kKvHeads / kHeads));
  const device::Buffer q = Filled(static_cast<size_t>(kRows * kHeads * kHeadDim) * sizeof(float));
  const device::Buffer out(q.bytes());
  const kernels::KvSequence sequence{
      .row = 0, .tokens = kRows, .first_position = kRows, .k_pages = pages[0], .v_pages = pages[1]};
  const double seconds = stopwatch.Time([&] {
    kernels::Attention(stream, TensorView(q.as<float>(), kRows, kHeads * kHeadDim), {&sequence, 1},
                       layout, {.scale = 0.125f, .kv_head_of_q = kv_head_of_q},
                       TensorView(out.data(), dtype, kRows, kHeads * kHeadDim));
  });
  constexpr double kKeys = 1.5 * kRows;  // on average
  return 4.0 * kRows * kKeys * kHeads * kHeadDim / seconds;
}

// The mix of a layer, counted as the cost model does.
double RowRate(const Stopwatch& stopwatch, device::Stream& stream, DType dtype) {
  constexpr int64_t kHidden = 1024, kFfn = 4096;
  const auto floats = [](int64_t cols) {
    return Filled(static_cast<size_t>(kRows * cols) * sizeof(float));
  };
  const device::Buffer residual = floats(kHidden), output = floats(kHidden),
                       weight = floats(kHidden), input = floats(kHidden),
                       gate_up = floats(2 * kFfn), activated = floats(kFfn);
  const TensorView x(residual.as<float>(), kRows, kHidden);
  const TensorView gates(gate_up.as<float>(), kRows, 2 * kFfn);
  const double seconds = stopwatch.Time([&] {
    std::memset(x.data(), 0x3f, 4);  // a sum that is fed by itself would grow without end
    for (int half = 0; half < 2; ++half) {
      kernels::RmsNorm(stream, x, TensorView(weight.as<float>(), 1, kHidden), 1e-6f,
                       TensorView(input.data(), dtype, kRows, kHidden));
      kernels::Add(stream, TensorView(output.as<float>(), kRows, kHidden), x);
    }
    kernels::ActivateGated(stream, kernels::ActivationKind::kSilu, gates.Cols(0, kFfn),
                           gates.Cols(kFfn, kFfn),
                           TensorView(activated.data(), dtype, kRows, kFfn));
  });
  const double element = static_cast<double>(core::SizeOf(dtype));
  const double bytes_per_row =
      kHidden * (2.0 * (4.0 + element) + 2.0 * 12.0) + kFfn * (8.0 + element);
  return kRows * bytes_per_row / seconds;
}

struct Link {
  double latency_s = 0;
  double bytes_per_s = 0;
};

// Of this group; `world` keeps all groups in step.
Link MeasureLink(const Stopwatch& stopwatch, comm::Communicator& group) {
  constexpr int64_t kFew = 1024, kMany = int64_t{256} << 10;  // f32
  const device::Buffer data(kMany * sizeof(float));
  const auto all_reduce = [&](int64_t count) {
    return stopwatch.Time([&] { group.AllReduce({data.as<float>(), 1, count}).Wait(); });
  };
  const double ranks = group.size();
  Link link{.latency_s = all_reduce(kFew)};
  const double seconds = std::max(all_reduce(kMany) - link.latency_s, 1e-9);
  link.bytes_per_s = 2.0 * (ranks - 1) / ranks * kMany * sizeof(float) / seconds;
  return link;
}

// The mean over all ranks.
double MeanOf(comm::Communicator& world, double value) {
  float sum = static_cast<float>(value);
  world.AllReduce({&sum, 1, 1}).Wait();
  return static_cast<double>(sum) / world.size();
}

}  // namespace

spec::Cluster Calibrate(comm::Communicator& world, device::Stream& stream, int hosts,
                        core::DType dtype) {
  AUTODIST_CHECK_EQ(world.size() % hosts, 0);
  const int local_ranks = world.size() / hosts;
  const int threads = stream.pool().threads();
  const Stopwatch stopwatch(world);
  const auto of_host = [&](double rate) { return MeanOf(world, rate) * local_ranks; };

  spec::Cluster cluster{.cores = threads * local_ranks, .hosts = hosts};
  const size_t bytes = kReadBytesPerHost / static_cast<size_t>(local_ranks);
  cluster.read_bytes_per_s = of_host(ReadRate(stopwatch, stream, dtype, bytes));
  double alone = 0;
  const auto nobody = world.Split(world.rank(), 0, "alone");
  if (world.rank() == 0) {
    device::ThreadPool pool(1);
    device::Stream one(pool, stream.isa());
    alone = ReadRate(Stopwatch(*nobody), one, dtype, kReadBytesPerHost);
  }
  world.Barrier(kLongestWaitS);
  cluster.core_read_bytes_per_s = MeanOf(world, alone) * world.size();
  cluster.flops_per_s = of_host(FlopRate(stopwatch, stream, dtype));
  cluster.attention_flops_per_s = of_host(AttentionRate(stopwatch, stream, dtype));
  cluster.row_bytes_per_s = of_host(RowRate(stopwatch, stream, dtype));
  const Product nothing(dtype, 1, 64 * threads, 64);
  cluster.operation_s = MeanOf(world, stopwatch.Time([&] { nothing.Run(stream); }));
  const auto link_of = [&](int color, const char* name, double& latency_s, double& bytes_per_s) {
    const auto group = world.Split(color, world.rank(), name);
    const Link link = MeasureLink(stopwatch, *group);
    latency_s = MeanOf(world, link.latency_s);
    bytes_per_s = MeanOf(world, link.bytes_per_s);
  };
  if (local_ranks > 1)
    link_of(world.rank() / local_ranks, "host", cluster.link_latency_s, cluster.link_bytes_per_s);
  if (hosts > 1)
    link_of(world.rank() % local_ranks, "hosts", cluster.host_link_latency_s,
            cluster.host_link_bytes_per_s);
  // Nothing communicates within a host of one rank; the plan wants a number all the same.
  if (local_ranks == 1 && hosts > 1) {
    cluster.link_latency_s = cluster.host_link_latency_s;
    cluster.link_bytes_per_s = cluster.host_link_bytes_per_s;
  }
  return cluster;
}

}  // namespace autodist::measure
