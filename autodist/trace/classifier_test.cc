#include "autodist/trace/classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "autodist/core/error.h"

namespace autodist::trace {
namespace {

using ::testing::HasSubstr;
using enum EventClass;

EventClass ClassOf(std::string_view name, EventKind kind = EventKind::kKernel,
                   bool single_thread = false) {
  return Classifier().Classify(name, kind, single_thread).event_class;
}

// The kernels that the requirement of the overlap tuner names.
TEST(ClassifierTest, TheRequirementsKernels) {
  EXPECT_EQ(ClassOf("void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_"
                    "64x3_tn_align8>(cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_tn_"
                    "align8::Params)"),
            kGemm);
  EXPECT_EQ(ClassOf("void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x256_"
                    "32x4_nn_align8>(...)"),
            kGemm);
  EXPECT_EQ(ClassOf("Memcpy PtoP (Device -> Device)", EventKind::kMemcpy), kComm);
  EXPECT_EQ(ClassOf("kuserbuffers_pushsend(int*, int*, int4*, int4*, int)"), kComm);
  EXPECT_EQ(ClassOf("void userbuffers_fp16_sum_inplace_gpu_rw_ag<2>(int, int, int, int, int, int, "
                    "int, void**, int, unsigned long)"),
            kComm);
  EXPECT_EQ(ClassOf("void userbuffers_fp16_sum_inplace_gpu_rr_rs<2>(int, int, int, int, int, int, "
                    "int, void**, int, unsigned long)"),
            kComm);
}

TEST(ClassifierTest, Communication) {
  for (const char* name :
       {"ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)",
        "ncclDevKernel_Generic(ncclDevKernelArgsStorage<4096ul>)",
        "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
        "ncclAllReduceRingLLKernel_sum_f32(ncclColl)", "ncclSendRecvKernel_copy_i8(ncclColl)",
        "void userbuffers_fp16_sum_inplace_gpu_mc_rs_oop<8>(int)",
        "void userbuffers_fp16_sum_inplace_gpu_rr_rs_oop_stride_atomic_fp8<4, __nv_fp8_e4m3>(int)",
        "void userbuffers_fp16_sum_inplace_gpu_rw<4>(int)",
        "kuserbuffers_pullrecv(int, int, int*, int*)", "kuserbuffers_pushsendrecv(int*)",
        "void multimem_one_shot_all_reduce_kernel<c10::BFloat16, 16>(c10::BFloat16*)",
        "void two_shot_all_reduce_kernel<c10::BFloat16>(unsigned int**)",
        "multimem_all_gather_kernel(char const*)",
        "void deep_ep::internode::dispatch<false, 8>(int4*)",
        "void deep_ep::intranode::cached_notify_combine<8>(void**)",
        "void deep_ep::internode_ll::combine<true, 3, 7168, 9>(void*)",
        "void vllm::cross_device_reduce_2stage<nv_bfloat16, 8>(vllm::RankData*)"})
    EXPECT_EQ(ClassOf(name), kComm) << name;
}

// With the copy engine, userbuffers' kernel of one thread only signals: it is no communication
// time.
TEST(ClassifierTest, WaitsAreTheLaunchesOfOneThread) {
  const std::string name = "kuserbuffers_pushsend(int*, int*, int4*, int4*, int)";
  EXPECT_EQ(ClassOf(name, EventKind::kKernel, /*single_thread=*/true), kCommWait);
  EXPECT_TRUE(Classifier().DependsOnLaunch(name, EventKind::kKernel));
  EXPECT_FALSE(Classifier().DependsOnLaunch("ncclKernel_AllReduce", EventKind::kKernel));
  for (const char* wait : {"producer_kernel(void*, int)", "consumer_kernel(void*, int)",
                           "reset_counters_kernel(void*, int, bool)", "tiny_delay_kern()"})
    EXPECT_EQ(ClassOf(wait), kCommWait) << wait;
}

TEST(ClassifierTest, ReductionsOfTheRing) {
  EXPECT_EQ(ClassOf("void reduce_bf16_cuda(void*, void*, int, int)"), kCommReduce);
  EXPECT_EQ(ClassOf("void reduce_fp8_in_bf16_out_cuda<__nv_fp8_e4m3>(void*, void*)"), kCommReduce);
}

TEST(ClassifierTest, MatrixProducts) {
  for (const char* name :
       {"nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "ampere_bf16_s16816gemm_bf16_128x128_ldg8_tn",
        "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64",
        "void gemvNSP_kernel<float, float, float, 1, 32, 4, 1024>(cublasGemvParamsEx<int>)",
        "Cijk_Alik_Bljk_HHS_BH_MT128x128x64", "bmm_bf16_kernel", "void splitKreduce_kernel<cublas>",
        "void deep_gemm::fp8_gemm_kernel<4096u, 7168u>(float*)", "wgmma_kernel"})
    EXPECT_EQ(ClassOf(name), kGemm) << name;
}

// Flash attention is built from cutlass, and is no GEMM all the same.
TEST(ClassifierTest, Attention) {
  for (const char* name :
       {"void cutlass::device_kernel<flash::enable_sm90<flash::FlashAttnFwdSm90>>",
        "fmha_v2_flash_attention_bf16_64_128_S_128_sm80_kernel",
        "fmha_cutlassF_bf16_aligned_64x128_rf_sm80(AttentionKernel)",
        "cudnn_generated_fort_native_sdpa_sm90_knob_7_64x64x128"})
    EXPECT_EQ(ClassOf(name), kAttention) << name;
}

TEST(ClassifierTest, MemoryAndTheRest) {
  EXPECT_EQ(ClassOf("Memcpy DtoD (Device -> Device)", EventKind::kMemcpy), kMemory);
  EXPECT_EQ(ClassOf("Memcpy HtoD (Pinned -> Device)", EventKind::kMemcpy), kMemory);
  EXPECT_EQ(ClassOf("Memset (Device)", EventKind::kMemset), kMemory);
  EXPECT_EQ(ClassOf("void at::native::vectorized_elementwise_kernel<4>(int)"), kCompute);
  // A kernel that is called like a copy is none.
  EXPECT_EQ(ClassOf("my PtoP kernel"), kCompute);
}

TEST(ClassifierTest, KernelsThatNoRuleKnows) {
  const Classifier classifier;
  const KernelName plain = classifier.Classify("my_kernel(int)", EventKind::kKernel, false);
  EXPECT_EQ(plain.event_class, kCompute);
  EXPECT_FALSE(plain.known);
  EXPECT_FALSE(plain.looks_like_comm);
  const KernelName ring = classifier.Classify("myRingAllGather(int)", EventKind::kKernel, false);
  EXPECT_FALSE(ring.known);
  EXPECT_TRUE(ring.looks_like_comm);
  EXPECT_TRUE(classifier.Classify("at::native::x", EventKind::kKernel, false).known);
}

TEST(ClassifierTest, ANameOfAMegabyteIsNoProblem) {
  EXPECT_EQ(ClassOf("nccl" + std::string(1 << 20, 'x')), kCompute);
}

TEST(DirectionTest, FromTheName) {
  using enum CommDirection;
  const auto direction = [](std::string_view name) {
    return DirectionOf(name, EventKind::kKernel);
  };
  EXPECT_EQ(direction("userbuffers_fp16_sum_inplace_gpu_rw_ag<2>"), kAllGather);
  EXPECT_EQ(direction("userbuffers_fp16_sum_inplace_gpu_rr_rs_oop<2>"), kReduceScatter);
  EXPECT_EQ(direction("userbuffers_fp16_sum_inplace_gpu_rw<2>"), kAllReduce);
  EXPECT_EQ(direction("ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL"), kReduceScatter);
  EXPECT_EQ(direction("kuserbuffers_pushsend(int*)"), kSend);
  EXPECT_EQ(direction("kuserbuffers_pushrecv(int*)"), kReceive);
  EXPECT_EQ(direction("ncclDevKernel_Generic(...)"), kNone);
  EXPECT_EQ(DirectionOf("Memcpy PtoP (Device -> Device)", EventKind::kMemcpy), kCopy);
}

TEST(PassOfGemmTest, LayoutInTheName) {
  EXPECT_EQ(PassOfGemm("cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_tn_align8"),
            Pass::kForward);
  EXPECT_EQ(PassOfGemm("cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x256_32x4_nn_align8"),
            Pass::kDgrad);
  EXPECT_EQ(PassOfGemm("ampere_bf16_s16816gemm_bf16_128x128_ldg8_f2f_stages_32x5_nt"),
            Pass::kWgrad);
  EXPECT_EQ(PassOfGemm("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT"), Pass::kForward);
  EXPECT_EQ(PassOfGemm("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT"), Pass::kDgrad);
  EXPECT_EQ(PassOfGemm("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN"), Pass::kWgrad);
  EXPECT_EQ(PassOfGemm("Cijk_Ailk_Bjlk_HHS"), Pass::kWgrad);
  EXPECT_EQ(PassOfGemm("gemv2T_kernel"), Pass::kNone);
}

class RulesTest : public ::testing::Test {
 protected:
  std::string Refusal(const std::string& text) {
    Write(text);
    try {
      Classifier classifier(ReadRules(file_));
    } catch (const core::Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "no error";
  }
  void Write(const std::string& text) { std::ofstream(file_) << text; }
  void TearDown() override { std::filesystem::remove(file_); }

  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() /
      fmt::format("autodist_rules_{}.json",
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(RulesTest, OwnRulesComeFirst) {
  Write(R"([{"class": "comm_wait", "pattern": "notify|get_dispatch_layout"},
            {"class": "comm", "pattern": "^my_ring", "kind": "kernel"},
            {"class": "comm_wait", "pattern": "^my_flag", "single_thread": true}])");
  const Classifier classifier(ReadRules(file_));
  const auto class_of = [&](std::string_view name, bool single = false) {
    return classifier.Classify(name, EventKind::kKernel, single).event_class;
  };
  EXPECT_EQ(class_of("deep_ep::intranode::notify_dispatch<8>"), kCommWait);
  EXPECT_EQ(class_of("deep_ep::intranode::dispatch<8>"), kComm);
  EXPECT_EQ(class_of("my_ring_gemm"), kComm);
  EXPECT_EQ(class_of("my_flag"), kCompute);
  EXPECT_EQ(class_of("my_flag", true), kCommWait);
}

TEST_F(RulesTest, Refusals) {
  EXPECT_THAT(Refusal("{}"), HasSubstr("must be a list of rules"));
  EXPECT_THAT(Refusal("[1]"), HasSubstr("rule 1"));
  EXPECT_THAT(Refusal(R"([{"class": "com", "pattern": "x"}])"),
              HasSubstr("rule 1: field class is \"com\", must be one of comm, comm_wait"));
  EXPECT_THAT(Refusal(R"([{"class": "comm"}])"), HasSubstr("pattern"));
  EXPECT_THAT(Refusal(R"([{"class": "comm", "pattern": "("}])"),
              HasSubstr("\"(\" is no regular expression"));
  EXPECT_THAT(Refusal(R"([{"class": "comm", "pattern": "x", "kind": "copy"}])"),
              HasSubstr("field kind is \"copy\", must be one of kernel, memcpy, memset"));
  EXPECT_THAT(Refusal(R"([{"class": "comm", "pattern": "x", "name": "y"}])"),
              HasSubstr("field name is unknown"));
}

}  // namespace
}  // namespace autodist::trace
