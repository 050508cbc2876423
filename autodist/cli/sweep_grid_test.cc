#include "autodist/cli/sweep_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

measure::SweepGrid Defaults() {
  return {.prompt_lengths = {512},
          .output_lengths = {32},
          .batch_sizes = {1},
          .tp = {1},
          .pp = {1},
          .dtypes = {"auto"},
          .weights = {"auto"}};
}

bool NoFlag(std::string_view) { return false; }

TEST(SweepGridTest, ListsReplaceTheDefaults) {
  const measure::SweepGrid grid = ParseGrid(
      "prompt-length=128,512;tp=1,2;dtype=float32,bfloat16;weights=int8", Defaults(), NoFlag);
  EXPECT_THAT(grid.prompt_lengths, ElementsAre(128, 512));
  EXPECT_THAT(grid.tp, ElementsAre(1, 2));
  EXPECT_THAT(grid.dtypes, ElementsAre("float32", "bfloat16"));
  EXPECT_THAT(grid.weights, ElementsAre("int8"));
  EXPECT_THAT(grid.output_lengths, ElementsAre(32));
  EXPECT_THAT(grid.batch_sizes, ElementsAre(1));
}

std::string Refusal(std::string_view text) {
  try {
    ParseGrid(text, Defaults(), [](std::string_view key) { return key == "pp"; });
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  ADD_FAILURE() << text;
  return "";
}

TEST(SweepGridTest, WhatIsNotUnderstoodIsRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("must be KEY=VALUE"));
  EXPECT_THAT(Refusal("tp"), HasSubstr("\"tp\""));
  EXPECT_THAT(Refusal("threads=1"), HasSubstr("--grid has threads, must be prompt-length"));
  EXPECT_THAT(Refusal("tp=1;tp=2"), HasSubstr("tp more than once"));
  EXPECT_THAT(Refusal("tp=1,,2"), HasSubstr("--grid tp"));
  EXPECT_THAT(Refusal("batch-size=0"), HasSubstr("--grid batch-size is 0"));
  EXPECT_THAT(Refusal("output-length=1"), HasSubstr("--grid output-length is 1"));
  EXPECT_THAT(Refusal("prompt-length=1e3"), HasSubstr("--grid prompt-length"));
  EXPECT_THAT(Refusal("dtype=float32,"), HasSubstr("--grid dtype has an empty value"));
  EXPECT_THAT(Refusal("tp=1;pp=2"), HasSubstr("--grid has pp, which --pp gives too"));
}

}  // namespace
}  // namespace autodist::cli
