#include "autodist/tune/testing/synthetic_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodist/core/json.h"
#include "autodist/tune/transformer_engine.h"

namespace autodist::tune {
namespace {

using core::Json;
using spec::OverlapMethod;

constexpr int kGemmStream = 7, kCommStream = 20, kSignalStream = 24;
constexpr int64_t kGapNs = 100'000;  // between two samples

// "12.345": nanoseconds as Kineto's microseconds.
double Microseconds(int64_t ns) { return static_cast<double>(ns) / 1e3; }

class TraceBuilder {
 public:
  TraceBuilder(const OverlapCase& overlap_case, int rank) : case_(overlap_case), rank_(rank) {}

  void Add(const CaseSample& sample);
  void Add(const TraceKernel& kernel, bool covered);
  std::string Finish() &&;

 private:
  int64_t Ns(double seconds) const { return std::llround(seconds * 1e9); }
  // The launch on the host and what it makes the device do.
  void Kernel(const std::string& name, const char* category, int stream, int64_t start_ns,
              int64_t end_ns, int threads = 256);
  void Gemm(int64_t start_ns, int64_t end_ns);
  void Comm(int64_t start_ns, int64_t end_ns);
  bool Gathers() const;
  // The range that launched everything since `range_ns`.
  void Range(int64_t range_ns);

  const OverlapCase& case_;
  int rank_;
  int64_t now_ns_ = 1'000'000;
  int64_t host_ns_ = 0;  // launches of the current sample
  int correlation_ = 0;
  Json events_ = Json::array();
};

void TraceBuilder::Kernel(const std::string& name, const char* category, int stream,
                          int64_t start_ns, int64_t end_ns, int threads) {
  const int thread = case_.site.pass == spec::LinearPass::kFprop ? 1000 : 1001;
  ++correlation_;
  host_ns_ += 500;
  events_.push_back({{"ph", "X"},
                     {"cat", "cuda_runtime"},
                     {"name", "cudaLaunchKernel"},
                     {"pid", 1000},
                     {"tid", thread},
                     {"ts", Microseconds(host_ns_)},
                     {"dur", 0.4},
                     {"args", {{"correlation", correlation_}}}});
  events_.push_back({{"ph", "X"},
                     {"cat", category},
                     {"name", name},
                     {"pid", rank_},
                     {"tid", stream},
                     {"ts", Microseconds(start_ns)},
                     {"dur", Microseconds(end_ns - start_ns)},
                     {"args",
                      {{"device", rank_},
                       {"stream", stream},
                       {"correlation", correlation_},
                       {"grid", {threads == 1 ? 1 : 64, 1, 1}},
                       {"block", {threads, 1, 1}}}}});
}

// TransformerEngine's layouts: TN forward, NN dgrad, NT wgrad. Chunks where the method cuts.
void TraceBuilder::Gemm(int64_t start_ns, int64_t end_ns) {
  constexpr const char* kLayouts[] = {"tn", "nn", "nt"};
  const std::string name = fmt::format(
      "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_{}_align8>"
      "(cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_{}_align8::Params)",
      kLayouts[static_cast<size_t>(case_.site.pass)],
      kLayouts[static_cast<size_t>(case_.site.pass)]);
  const bool cut = case_.setting.method == OverlapMethod::kRingExchange ||
                   case_.setting.method == OverlapMethod::kPipeline;
  const int64_t chunks = cut ? case_.tp : 1;
  for (int64_t i = 0; i < chunks; ++i)
    Kernel(name, "kernel", kGemmStream, start_ns + (end_ns - start_ns) * i / chunks,
           start_ns + (end_ns - start_ns) * (i + 1) / chunks);
}

bool TraceBuilder::Gathers() const {
  if (ScattersDgrad(case_.site, case_.setting.method)) return false;
  if (spec::CollectiveOf(case_.site) == spec::SiteCollective::kScatter) return false;
  return case_.site.pass != spec::LinearPass::kWgrad;
}

void TraceBuilder::Comm(int64_t start_ns, int64_t end_ns) {
  const bool gathers = Gathers();
  switch (case_.setting.method) {
    case OverlapMethod::kSequential:
      Kernel(gathers
                 ? "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
                 : "ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
             "kernel", kCommStream, start_ns, end_ns);
      return;
    case OverlapMethod::kRingExchange:
      for (int64_t i = 0; i < case_.tp - 1; ++i)
        Kernel("Memcpy PtoP (Device -> Device)", "gpu_memcpy", kCommStream,
               start_ns + (end_ns - start_ns) * i / (case_.tp - 1),
               start_ns + (end_ns - start_ns) * (i + 1) / (case_.tp - 1));
      // The signal to the peer: a single thread, and no communication time.
      Kernel("kuserbuffers_pushsend(int*, int*, int4*, int4*, int)", "kernel", kSignalStream,
             end_ns - std::min<int64_t>(1000, end_ns - start_ns), end_ns, 1);
      return;
    default:
      Kernel(gathers ? "void userbuffers_fp16_sum_inplace_gpu_rw_ag<2>(int, int, int, int, int, "
                       "int, void**, int, unsigned long)"
                     : "void userbuffers_fp16_sum_inplace_gpu_rr_rs<2>(int, int, int, int, int, "
                       "int, void**, int, unsigned long)",
             "kernel", kCommStream, start_ns, end_ns);
  }
}

// A gather begins first and the product ends last; a scatter the other way round.
void TraceBuilder::Add(const CaseSample& sample) {
  const int64_t wall = Ns(sample.wall_s), gemm = Ns(sample.gemm_s), comm = Ns(sample.comm_s);
  host_ns_ = now_ns_ - 50'000;
  const int64_t range_ns = host_ns_;
  const int64_t end_ns = now_ns_ + wall;
  if (Gathers()) {
    if (comm > 0) Comm(now_ns_, now_ns_ + comm);
    Gemm(end_ns - gemm, end_ns);
  } else {
    Gemm(now_ns_, now_ns_ + gemm);
    if (comm > 0) Comm(end_ns - comm, end_ns);
    // What the ring brought is summed behind its last step: neither product nor communication.
    if (case_.setting.method == OverlapMethod::kRingExchange)
      Kernel("void reduce_bf16_cuda(void*, void*, int, int)", "kernel", kGemmStream,
             end_ns - std::min<int64_t>(500, wall), end_ns);
  }
  Range(range_ns);
  now_ns_ = end_ns + kGapNs;
}

void TraceBuilder::Add(const TraceKernel& kernel, bool covered) {
  host_ns_ = now_ns_ - 50'000;
  const int64_t range_ns = host_ns_;
  Gemm(now_ns_, now_ns_ + (covered ? 100'000 : 50'000));
  Kernel(kernel.name, kernel.category, kCommStream, now_ns_ + 60'000, now_ns_ + 100'000,
         kernel.threads);
  Range(range_ns);
}

void TraceBuilder::Range(int64_t range_ns) {
  events_.push_back({{"ph", "X"},
                     {"cat", "user_annotation"},
                     {"name", spec::KeyOf(case_.site)},
                     {"pid", 1000},
                     {"tid", case_.site.pass == spec::LinearPass::kFprop ? 1000 : 1001},
                     {"ts", Microseconds(range_ns)},
                     {"dur", Microseconds(host_ns_ - range_ns + 1000)}});
}

std::string TraceBuilder::Finish() && {
  const Json document = {
      {"schemaVersion", 1},
      {"distributedInfo", {{"backend", "nccl"}, {"rank", rank_}, {"world_size", case_.tp}}},
      {"displayTimeUnit", "ms"},
      {"baseTimeNanoseconds", 1700000000000000000},
      {"traceEvents", std::move(events_)}};
  return core::DumpJson(document);
}

}  // namespace

std::string KernelTrace(const TraceKernel& kernel, bool covered) {
  const OverlapCase overlap_case{.site = {spec::LinearOp::kFc1, spec::LinearPass::kFprop}};
  TraceBuilder builder(overlap_case, 0);
  builder.Add(kernel, covered);
  return std::move(builder).Finish();
}

std::string SyntheticTrace(const OverlapCase& overlap_case, int rank,
                           const std::vector<CaseSample>& samples) {
  TraceBuilder builder(overlap_case, rank);
  for (const CaseSample& sample : samples) builder.Add(sample);
  return std::move(builder).Finish();
}

}  // namespace autodist::tune
