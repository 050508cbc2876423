#include "autodist/measure/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace autodist::measure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SweepGrid Grid() {
  return {.prompt_lengths = {4, 8},
          .output_lengths = {2},
          .batch_sizes = {1},
          .tp = {1, 2},
          .pp = {1},
          .dtypes = {"auto"},
          .weights = {"auto"}};
}

TEST(SweepTest, EveryCombinationIsAPoint) {
  const std::vector<SweepPoint> points = Grid().Points();
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[0].prompt_length, 4);
  EXPECT_EQ(points[1].prompt_length, 8);
  EXPECT_EQ(points[1].tp, 1);
  EXPECT_EQ(points[2].tp, 2);
}

// Two points that were run and one that was not.
std::vector<SweepResult> Results() {
  const core::Json bench = {{"prefill_tokens_per_s", 1000.25},
                            {"prefill_fraction", 0.5},
                            {"decode_tokens_per_s", 20.5},
                            {"decode_fraction", 0.75},
                            {"first_token_s", 0.1},
                            {"communication_fraction", nullptr},
                            {"read_gb_per_s", 30.0},
                            {"gemm_gflop_per_s", 2000.0}};
  std::vector<SweepResult> results(3);
  for (size_t i = 0; i < 3; ++i) {
    results[i].point.prompt_length = i == 0 ? 4 : 8;
    results[i].point.output_length = 2;
  }
  results[0].bench = results[1].bench = bench;
  results[2].point.tp = 3;
  results[2].skipped = "3 heads, 2 ranks";
  return results;
}

TEST(SweepTest, TheTableHasARowPerPoint) {
  EXPECT_EQ(ToTable(Results()).ToCsv(),
            "tp,pp,dtype,weights,prompt,output,batch,prefill_tokens_per_s,prefill_fraction,"
            "decode_tokens_per_s,decode_fraction,first_token_s,communication_fraction,"
            "read_gb_per_s,gemm_gflop_per_s,skipped\n"
            "1,1,auto,auto,4,2,1,1000.2,0.500,20.50,0.750,0.1000,,30.0,2000,\n"
            "1,1,auto,auto,8,2,1,1000.2,0.500,20.50,0.750,0.1000,,30.0,2000,\n"
            "3,1,auto,auto,8,2,1,,,,,,,,,\"3 heads, 2 ranks\"\n");
}

TEST(SweepTest, PlotsAreOverWhatVaries) {
  const std::string html = ToPage(Results(), "a model").ToHtml();
  EXPECT_THAT(html, HasSubstr("Prefill, of the limit"));
  EXPECT_THAT(html, HasSubstr("<title>%: 50 at 4</title>"));
  EXPECT_THAT(html, Not(HasSubstr("<title>tp 3")));           // skipped
  EXPECT_THAT(html, Not(HasSubstr("Decode, of the limit")));  // over the batch size: one value
  EXPECT_THAT(html, HasSubstr("3 heads, 2 ranks"));
}

TEST(SweepTest, TheFieldsOfTheContract) {
  const core::Json json = ToJson(Results());
  std::vector<std::string> names;
  for (const auto& [name, value] : json["points"][0].items()) names.push_back(name);
  EXPECT_THAT(names, ::testing::ElementsAre("tensor_parallel_size", "pipeline_parallel_size",
                                            "dtype", "weights", "prompt_length", "output_length",
                                            "batch_size", "skipped", "bench"));
  EXPECT_TRUE(json["points"][0]["skipped"].is_null());
  EXPECT_TRUE(json["points"][2]["bench"].is_null());
}

}  // namespace
}  // namespace autodist::measure
