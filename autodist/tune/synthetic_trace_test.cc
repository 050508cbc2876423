// One trace per branch of the classifier, with known answers: reader, classifier, attribution and
// metrics together.
#include "autodist/tune/testing/synthetic_trace.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "autodist/trace/metrics.h"
#include "autodist/trace/reader.h"

namespace autodist::tune {
namespace {

using trace::EventClass;

trace::OverlapMetrics MetricsOf(const TraceKernel& kernel, bool covered) {
  const std::filesystem::path path =
      std::filesystem::path(::testing::TempDir()) / fmt::format("branch_{}.json", ::getpid());
  std::ofstream(path) << KernelTrace(kernel, covered);
  const trace::Trace trace = trace::ReadTrace(path, trace::Classifier());
  std::filesystem::remove(path);
  const std::vector<trace::OperatorMetrics> operators = trace::MeasureOperators(trace);
  EXPECT_EQ(operators.size(), 1u) << kernel.name;
  EXPECT_EQ(Label(operators.front().op), "fc1_fprop");
  return operators.front().median;
}

// In nanoseconds, of a kernel over [60, 100) us beside a product over [0, 100) or [0, 50).
void Expect(const TraceKernel& kernel, EventClass event_class) {
  constexpr int64_t kKernel = 40'000;
  for (const bool covered : {true, false}) {
    const trace::OverlapMetrics m = MetricsOf(kernel, covered);
    const auto of = [&](EventClass wanted) { return event_class == wanted ? kKernel : 0; };
    SCOPED_TRACE(fmt::format("{}, {}", kernel.name, covered ? "covered" : "alone"));
    EXPECT_EQ(m.wall_ns, 100'000);
    EXPECT_EQ(m.busy_ns, covered ? 100'000 : 90'000);
    EXPECT_EQ(m.comm_ns, of(EventClass::kComm));
    EXPECT_EQ(m.exposed_ns(), covered ? 0 : of(EventClass::kComm));
    EXPECT_EQ(m.tail_ns, covered ? 0 : of(EventClass::kComm));
    EXPECT_EQ(m.wait_ns, of(EventClass::kCommWait));
    EXPECT_EQ(m.reduce_ns, of(EventClass::kCommReduce));
    EXPECT_EQ(m.gemm_ns, covered ? 100'000 : 50'000 + of(EventClass::kGemm));
    EXPECT_EQ(m.compute_ns, covered ? 100'000 : 50'000 + (IsCompute(event_class) ? kKernel : 0));
    if (event_class == EventClass::kComm) {
      EXPECT_EQ(m.hidden(), covered ? 1.0 : 0.0);
    }
  }
}

// The case that a reader of kernels alone gets wrong: a copy between devices is a gpu_memcpy.
TEST(SyntheticTraceTest, AProductHidesACopyBetweenDevices) {
  Expect({"Memcpy PtoP (Device -> Device)", "gpu_memcpy"}, EventClass::kComm);
}

// The five names of the requirement: two products and three that communicate.
TEST(SyntheticTraceTest, NamesOfTheRequirement) {
  Expect({"void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_tn_"
          "align8>(...)"},
         EventClass::kGemm);
  Expect({"void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x256_32x4_nn_"
          "align8>(...)"},
         EventClass::kGemm);
  Expect({"kuserbuffers_pushsend(int*, int*, int4*, int4*, int)"}, EventClass::kComm);
  Expect({"void userbuffers_fp16_sum_inplace_gpu_rw_ag<2>(int, int, int, int, int, int, void**, "
          "int, unsigned long)"},
         EventClass::kComm);
  Expect({"void userbuffers_fp16_sum_inplace_gpu_rr_rs<2>(int, int, int, int, int, int, void**, "
          "int, unsigned long)"},
         EventClass::kComm);
}

TEST(SyntheticTraceTest, Communication) {
  for (const char* const name :
       {"kuserbuffers_pushrecv(int, int, int*, int*)", "kuserbuffers_pullsendrecv(int*)",
        "userbuffers_fp16_sum_inplace_gpu_mc_rs_oop<4>(int)", "ncclDevKernel_AllGather_RING_LL(x)",
        "ncclKernel_ReduceScatter_RING_LL_Sum_bf16(x)", "ncclSymkDevKernel_AllGather_LL(x)",
        "void multimem_all_reduce_kernel<bfloat16>(x)", "two_shot_all_reduce_kernel(x)",
        "one_shot_all_reduce_kernel(x)", "void deep_ep::internode_ll::combine<true>(x)",
        "void deep_ep::intranode::dispatch<8>(x)", "void vllm::cross_device_reduce_2stage<8>(x)"})
    Expect({name}, EventClass::kComm);
}

// Launched as a single thread, a ring's kernel signals beside the copy engine.
TEST(SyntheticTraceTest, WaitsAndSums) {
  for (const char* const name : {"kuserbuffers_pushsend(int*, int*, int4*, int4*, int)",
                                 "kuserbuffers_pushrecv(int, int, int*, int*)"})
    Expect({.name = name, .threads = 1}, EventClass::kCommWait);
  for (const char* const name : {"consumer_kernel(void*, int)", "producer_kernel(void*, int)",
                                 "reset_counters_kernel(void*)", "tiny_delay_kern(int)"})
    Expect({name}, EventClass::kCommWait);
  for (const char* const name : {"void reduce_bf16_cuda(void*, void*, int, int)",
                                 "void reduce_fp8_in_bf16_out_cuda<__nv_fp8_e4m3>(void*)"})
    Expect({name}, EventClass::kCommReduce);
}

TEST(SyntheticTraceTest, Computation) {
  for (const char* const name :
       {"nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "Cijk_Ailk_Bljk_HHS_BH", "gemv2T_kernel_val",
        "void wgmma_kernel(x)", "sm90_xmma_f16", "deep_gemm::fp8_gemm_kernel<7168>", "bmm_bf16"})
    Expect({name}, EventClass::kGemm);
  Expect({"flash_fwd_kernel<cutlass::bfloat16_t>"}, EventClass::kAttention);
  Expect({"fmha_cutlassF_bf16"}, EventClass::kAttention);
  Expect({"void at::native::vectorized_elementwise_kernel<4>(int)"}, EventClass::kCompute);
  Expect({"a_kernel_that_no_rule_names"}, EventClass::kCompute);
}

TEST(SyntheticTraceTest, Memory) {
  Expect({"Memcpy DtoD (Device -> Device)", "gpu_memcpy"}, EventClass::kMemory);
  Expect({"Memset (Device)", "gpu_memset"}, EventClass::kMemory);
}

}  // namespace
}  // namespace autodist::tune
