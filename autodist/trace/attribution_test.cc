#include "autodist/trace/attribution.h"

#include <gtest/gtest.h>

#include "autodist/trace/testing/trace_text.h"

namespace autodist::trace {
namespace {

std::string Meaning(std::string_view name) {
  const RangeMeaning meaning = MeaningOf(name);
  return fmt::format("{}|{}{}", meaning.op, NameOf(meaning.pass),
                     meaning.is_linear ? "|linear" : "");
}

TEST(MeaningOfTest, NamesOfRanges) {
  EXPECT_EQ(Meaning("fc1_fprop"), "fc1|fprop|linear");
  EXPECT_EQ(Meaning("tp2_qkv_dgrad_ring_agg1"), "qkv|dgrad|linear");
  EXPECT_EQ(Meaning("backward proj"), "proj|backward|linear");
  EXPECT_EQ(Meaning("decoder.layers.3.fc2"), "fc2||linear");
  EXPECT_EQ(Meaning("## forward ##"), "|fprop");
  EXPECT_EQ(Meaning("## forward:bottom_mlp ##"), "bottom_mlp|fprop");
  EXPECT_EQ(Meaning("DistributedDataParallel.forward"), "DistributedDataParallel|fprop");
  EXPECT_EQ(Meaning("Optimizer.step#SGD.step"), "Optimizer.step#SGD.step|");
  EXPECT_EQ(Meaning("ProfilerStep#12"), "|");
  EXPECT_EQ(Meaning("nccl:all_reduce"), "|");
  EXPECT_EQ(Meaning("attention_projection"), "attention_projection|");
  EXPECT_EQ(Meaning(""), "|");
}

// "label@step" of every event, in the order of start.
std::string Places(const Trace& trace) {
  std::string text;
  for (const DeviceEvent& event : trace.events) {
    const std::string label =
        event.window == kNoWindow ? "-" : Label(trace.operators[trace.windows[event.window].op]);
    text +=
        fmt::format("{}@{} ", label,
                    event.step == kNoStep ? "-" : std::to_string(trace.steps[event.step].number));
  }
  return text;
}

// The device lags behind the host: by time both kernels would belong to the second step.
TEST(AttributeTest, ByCorrelationAndNotByTime) {
  TraceText text;
  text.Annotation("ProfilerStep#3", 0, 100)
      .Annotation("fc1_fprop", 10, 20)
      .Launch(1, 15)
      .Annotation("ProfilerStep#4", 100, 100)
      .Annotation("fc2_fprop", 110, 20)
      .Launch(2, 115)
      .Kernel("gemm_a", 112, 2, {.correlation = 1})
      .Kernel("gemm_b", 500, 2, {.correlation = 2});
  const Trace trace = text.Read();
  EXPECT_EQ(Places(trace), "fc1_fprop@3 fc2_fprop@4 ");
  EXPECT_EQ(trace.events[0].launch_ns, 15000);
  EXPECT_EQ(trace.events_without_launch, 0);
  EXPECT_EQ(trace.events_without_operator, 0);
}

TEST(AttributeTest, TheOrderInTheFileDoesNotMatter) {
  TraceText text;
  text.Kernel("gemm_b", 500, 2, {.correlation = 2})
      .Kernel("gemm_a", 112, 2, {.correlation = 1})
      .Launch(2, 115)
      .Launch(1, 15)
      .Annotation("fc2_fprop", 110, 20)
      .Annotation("fc1_fprop", 10, 20);
  EXPECT_EQ(Places(text.Read()), "fc1_fprop@- fc2_fprop@- ");
}

TEST(AttributeTest, TheInnermostRangeAndTheFourLinearsFirst) {
  TraceText text;
  text.Module("Decoder_0", 0, 100)
      .Module("Norm_0", 0, 10)
      .Annotation("proj_fprop", 20, 20)
      .Annotation("te_generic_gemm", 22, 5)  // inside, but proj says more
      .Annotation("nccl:all_gather", 30, 5)
      .Launch(1, 5)
      .Launch(2, 23)
      .Launch(3, 31)
      .Launch(4, 50)
      .Launch(5, 200);
  for (int i = 1; i <= 5; ++i) text.Kernel("k", 1000 + i, 1, {.correlation = i});
  const Trace trace = text.Read();
  EXPECT_EQ(Places(trace), "Norm_0_fprop@- proj_fprop@- proj_fprop@- Decoder_0_fprop@- -@- ");
  EXPECT_EQ(trace.events_without_operator, 1);
}

TEST(AttributeTest, EveryRunOfARangeIsAWindow) {
  TraceText text;
  for (int i = 0; i < 3; ++i)
    text.Annotation("qkv_fprop", 10 * i, 5)
        .Launch(2 * i, 10 * i + 1)
        .Launch(2 * i + 1, 10 * i + 2)
        .Kernel("gemm", 100 + 20 * i, 5, {.correlation = 2 * i})
        .Kernel("gemm", 105 + 20 * i, 5, {.correlation = 2 * i + 1});
  const Trace trace = text.Read();
  EXPECT_EQ(trace.operators.size(), 1u);
  EXPECT_EQ(trace.windows.size(), 3u);
  for (size_t i = 0; i < trace.events.size(); ++i) EXPECT_EQ(trace.events[i].window, i / 2);
}

// The autograd engine's thread knows no modules: sequence numbers lead back to the forward call.
TEST(AttributeTest, BackwardBySequenceNumber) {
  TraceText text;
  text.Annotation("ProfilerStep#0", 0, 1000)
      .Module("Linear_0", 10, 20)
      .CpuOp("aten::linear", 12, 5, /*sequence=*/41, /*thread=*/1, /*forward_thread=*/0)
      .Module("Linear_1", 40, 20)
      .CpuOp("aten::linear", 42, 5, 42, 1, 0)
      .Launch(1, 13)
      .Launch(2, 43)
      .CpuOp("autograd::engine::evaluate_function: AddmmBackward0", 200, 20, 42, 2, 1)
      .CpuOp("autograd::engine::evaluate_function: AddmmBackward0", 240, 20, 41, 2, 1)
      .Launch(3, 205, /*thread=*/2)
      .Launch(4, 245, 2);
  for (int i = 1; i <= 4; ++i) text.Kernel("gemm", 1000 + 10 * i, 5, {.correlation = i});
  EXPECT_EQ(Places(text.Read()),
            "Linear_0_fprop@0 Linear_1_fprop@0 Linear_1_backward@0 Linear_0_backward@0 ");
}

// Without sequence numbers: what the thread of the steps is waiting in.
TEST(AttributeTest, BackwardUnderAnAnnotationOfTheMainThread) {
  TraceText text;
  text.Annotation("ProfilerStep#0", 0, 1000)
      .Annotation("fc1_dgrad", 100, 100)
      .Launch(1, 150, /*thread=*/2)
      .Kernel("gemm", 500, 5, {.correlation = 1});
  EXPECT_EQ(Places(text.Read()), "fc1_dgrad@0 ");
}

TEST(AttributeTest, GraphLaunchesAndLostLaunchesFallBackToTheDevice) {
  TraceText text;
  text.Annotation("decode_loop", 0, 50)
      .Launch(1, 10, 1, "cudaGraphLaunch")
      .Launch(2, 20)
      .DeviceAnnotation("fc1_fprop", 100, 10)
      .DeviceAnnotation("fc2_fprop", 110, 10, /*stream=*/9)
      .Kernel("gemm", 101, 5, {.stream = 7, .correlation = 1})
      .Kernel("gemm", 111, 5, {.stream = 7, .correlation = 1})  // annotated on stream 9 only
      .Kernel("gemm", 130, 5, {.stream = 7, .correlation = 1})  // no annotation: the host's
      .Kernel("gemm", 104, 1, {.stream = 8, .correlation = 77})
      .Kernel("gemm", 105, 1, {.stream = 8})
      .Kernel("gemm", 116, 1, {.stream = 7, .correlation = 2});  // an ordinary launch
  const Trace trace = text.Read();
  EXPECT_EQ(Places(trace),
            "fc1_fprop@- fc1_fprop@- fc1_fprop@- fc2_fprop@- decode_loop@- decode_loop@- ");
  EXPECT_EQ(trace.events_without_launch, 2);
}

TEST(AttributeTest, BackwardIsSplitByTheLayoutOfItsGemms) {
  TraceText text;
  text.Annotation("fc1_backward", 0, 50);
  const std::pair<const char*, EventKind> kernels[] = {
      {"userbuffers_fp16_sum_inplace_gpu_rw_ag<2>", EventKind::kKernel},
      {"gemm_nn_x", EventKind::kKernel},
      {"at::native::copy", EventKind::kKernel},
      {"userbuffers_fp16_sum_inplace_gpu_rr_rs<2>", EventKind::kKernel},
      {"gemm_nt_x", EventKind::kKernel},
      {"at::native::add", EventKind::kKernel},
  };
  int i = 0;
  for (const auto& [name, kind] : kernels) {
    ++i;
    text.Launch(i, i).Kernel(name, 100 + i, 1, {.correlation = i});
  }
  EXPECT_EQ(Places(text.Read()),
            "fc1_dgrad@- fc1_dgrad@- fc1_dgrad@- fc1_wgrad@- fc1_wgrad@- fc1_wgrad@- ");
}

// Gradients are summed over ranks from autograd's threads, under no operator and no number.
// Without userbuffers NCCL gathers the input beside dgrad and scatters its result beside wgrad.
TEST(AttributeTest, CollectivesBelongToTheGemmTheyRunBeside) {
  TraceText text;
  text.Annotation("fc1_backward", 0, 50);
  text.Launch(1, 1).Kernel("ncclDevKernel_AllGather_RING_LL", 100, 100,
                           {.stream = 9, .correlation = 1});
  text.Launch(2, 2).Kernel("gemm_nn_x", 100, 150, {.correlation = 2});
  text.Launch(3, 3).Kernel("ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL", 250, 100,
                           {.stream = 9, .correlation = 3});
  text.Launch(4, 4).Kernel("gemm_nt_x", 250, 150, {.correlation = 4});
  EXPECT_EQ(Places(text.Read()), "fc1_dgrad@- fc1_dgrad@- fc1_wgrad@- fc1_wgrad@- ");
}

TEST(AttributeTest, APassWithoutAnOperator) {
  TraceText text;
  text.Annotation("ProfilerStep#0", 0, 1000)
      .Annotation("## backward ##", 100, 100)
      .Event("cpu_op", "autograd::engine::evaluate_function: AccumulateGrad", 140, 20, 100, 2, "")
      .Launch(1, 150, /*thread=*/2)
      .Kernel("ncclDevKernel_AllReduce", 500, 5, {.correlation = 1});
  EXPECT_EQ(Places(text.Read()), "backward@0 ");
}

TEST(AttributeTest, BackwardOfSeveralLayersStaysWhole) {
  TraceText text;
  text.Annotation("model backward", 0, 50);
  const char* kernels[] = {"gemm_nn_x", "gemm_nt_x", "gemm_nn_x", "gemm_nt_x"};
  for (int i = 0; i < 4; ++i) text.Launch(i, i).Kernel(kernels[i], 100 + i, 1, {.correlation = i});
  EXPECT_EQ(Places(text.Read()),
            "model_backward@- model_backward@- model_backward@- model_backward@- ");
}

TEST(AttributeTest, BackwardWithAGemmThatDoesNotTellStaysWhole) {
  TraceText text;
  text.Annotation("fc1_backward", 0, 50);
  const char* kernels[] = {"gemm_nn_x", "gemm_nt_x", "implicit_gemm"};
  for (int i = 0; i < 3; ++i) text.Launch(i, i).Kernel(kernels[i], 100 + i, 1, {.correlation = i});
  EXPECT_EQ(Places(text.Read()), "fc1_backward@- fc1_backward@- fc1_backward@- ");
}

TEST(AttributeTest, BackwardWithOneLayoutStaysWhole) {
  TraceText text;
  text.Annotation("fc1_backward", 0, 50)
      .Launch(1, 1)
      .Kernel("gemm_nn_x", 100, 1, {.correlation = 1});
  EXPECT_EQ(Places(text.Read()), "fc1_backward@- ");
}

}  // namespace
}  // namespace autodist::trace
