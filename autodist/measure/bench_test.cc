#include "autodist/measure/bench.h"

#include <gtest/gtest.h>

namespace autodist::measure {
namespace {

BenchReport Example() {
  BenchReport report;
  report.load_s = 0.5;
  report.bytes_per_token = 1'000'000'000;
  report.flops_per_prompt_token = 1e9;
  report.batch_size = 2;
  // Rates of three repeats; limits of 20 GB/s and 1 TFLOP/s.
  for (const double decode : {30.0, 10.0, 20.0})
    report.samples.push_back({.prefill_tokens_per_s = decode * 10,
                              .decode_tokens_per_s = decode,
                              .first_token_s = 1 / decode,
                              .communication_fraction = 0,
                              .limits = {.read_bytes_per_s = 20e9, .gemm_flops_per_s = 1e12},
                              .prefill = {},
                              .decode = {}});
  return report;
}

TEST(BenchTest, JsonHoldsMediansAndTheBest) {
  const core::Json json = ToJson(Example());
  EXPECT_EQ(json["decode_tokens_per_s"], 20.0);
  EXPECT_EQ(json["decode_tokens_per_s_best"], 30.0);
  EXPECT_EQ(json["prefill_tokens_per_s"], 200.0);
  EXPECT_EQ(json["first_token_s"], 0.05);
}

// 20 tokens/s in steps of 2 are 10 steps of 1 GB in a second: half of 20 GB/s. 200 tokens of 1
// GFLOP: 20 % of 1 TFLOP/s.
TEST(BenchTest, FractionsAreOfTheLimits) {
  const core::Json json = ToJson(Example());
  EXPECT_DOUBLE_EQ(json["decode_fraction"], 0.5);
  EXPECT_DOUBLE_EQ(json["prefill_fraction"], 0.2);
}

TEST(BenchTest, TheFieldsOfTheContract) {
  std::vector<std::string> names;
  const core::Json json = ToJson(Example());
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "load_s", "first_token_s", "prefill_tokens_per_s", "prefill_tokens_per_s_best",
                "decode_tokens_per_s", "decode_tokens_per_s_best", "bytes_per_token",
                "read_gb_per_s", "gemm_gflop_per_s", "decode_fraction", "prefill_fraction",
                "peak_rss_bytes", "communication_fraction", "gemm_engine", "phases"}));
}

}  // namespace
}  // namespace autodist::measure
