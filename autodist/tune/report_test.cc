// What a reader sees: text, JSON, page, and the difference of two reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "autodist/arch/known_models.h"
#include "autodist/arch/registry.h"
#include "autodist/core/error.h"
#include "autodist/tune/overlap_tuner.h"
#include "autodist/tune/report_diff.h"
#include "autodist/tune/report_text.h"
#include "autodist/tune/simulated_backend.h"
#include "autodist/tune/site_verdict.h"

namespace autodist::tune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

OverlapReport Tune(const std::string& model, const std::string& machine,
                   OverlapOptions options = {}) {
  options.machine = planner::FindMachine(machine);
  const spec::OverlapModel dimensions = *arch::FindKnownModel(model);
  SimulatedBackend backend(dimensions, options.max_token_len, options.machine, 0, 1);
  return TuneOverlap(dimensions, options, backend);
}

const SiteFindings& SiteOf(const TpFindings& size, const std::string& key) {
  for (const SiteFindings& site : size.sites)
    if (spec::KeyOf(site.context.site) == key) return site;
  throw std::out_of_range(key);
}

std::vector<std::string> NamesOf(const core::Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

TEST(OverlapReportTest, ALargeModelOnNvlinkHidesItsCommunication) {
  const OverlapReport report = Tune("Llama-3-70B", "H100-SXM");
  EXPECT_TRUE(report.final());
  EXPECT_EQ(VerdictText(report), "tp 4");
  const TpFindings& size = *report.outcome.Find(4);
  const SiteVerdict fc1 = JudgeSite(size, SiteOf(size, "fc1_fprop"), report.options);
  EXPECT_TRUE(fc1.overlapped);
  EXPECT_GT(fc1.hidden, 0.5);
  EXPECT_THAT(fc1.reason, HasSubstr("% against sequential"));
  const SiteVerdict wgrad = JudgeSite(size, SiteOf(size, "fc2_wgrad"), report.options);
  EXPECT_EQ(wgrad.reason, "no communication");
  EXPECT_LT(size.layer_s, size.sequential_s);
  EXPECT_GT(size.layer_s, size.lower_bound_s);
}

// On PCIe the links are the reason, in words.
TEST(OverlapReportTest, ASmallModelOnPcieTurnsItOff) {
  const OverlapReport report = Tune("Qwen3-0.6B", "L20-PCIe");
  EXPECT_EQ(VerdictText(report), "off");
  EXPECT_FALSE(report.outcome.memory_forced);
  EXPECT_THAT(ToText(report), HasSubstr("turn tensor parallelism off"));
  const TpFindings& size = *report.outcome.Find(2);
  const SiteVerdict proj = JudgeSite(size, SiteOf(size, "proj_fprop"), report.options);
  EXPECT_EQ(proj.bound, OverlapBound::kBandwidth);
  EXPECT_THAT(proj.reason, HasSubstr("bandwidth: a step of the ring takes"));
}

// 8 billion parameters: 6 bytes of weights and gradients, 12 of the optimizer over 8 devices; 24 GB
// hold them at tp 8 only.
TEST(OverlapReportTest, MemoryForcesASizeThatTimesAloneWouldNot) {
  OverlapOptions options;
  options.max_tp_size = 8;
  const OverlapReport report = Tune("Qwen3-8B", "RTX-4090", options);
  EXPECT_EQ(report.outcome.optimal_tp, 8);
  EXPECT_TRUE(report.outcome.memory_forced);
  EXPECT_EQ(VerdictText(report), "tp 8, forced by memory");
  EXPECT_THAT(ToText(report), HasSubstr("too slow, but memory forces it"));
  options.max_tp_size = 4;
  EXPECT_THAT(ToText(Tune("Qwen3-8B", "RTX-4090", options)),
              HasSubstr("try --max-tp-size 8, pipeline parallelism or more machines"));
}

TEST(OverlapReportTest, AFewOperatorsOnly) {
  OverlapOptions options;
  options.operators = {spec::LinearOp::kFc1};
  const OverlapReport report = Tune("Qwen3-8B", "H100-SXM", options);
  EXPECT_EQ(report.outcome.Find(2)->sites.size(), 3u);
  EXPECT_THAT(ToText(report), HasSubstr("only fc1 were measured, and the verdict rests on them: "
                                        "under the same switches TransformerEngine overlaps qkv, "
                                        "proj and fc2 by its own defaults"));
}

TEST(OverlapReportTest, WhatWasNotCheckedIsSaid) {
  EXPECT_THAT(ToText(Tune("Qwen3-30B-A3B", "H100-SXM")),
              HasSubstr("whether the model fits into memory was not checked"));
  EXPECT_THAT(ToText(Tune("Qwen3-8B", "RTX-4090")), HasSubstr("userbuffers need NVLink"));
  EXPECT_THAT(ToText(Tune("Qwen3-8B", "H100-SXM")), Not(HasSubstr("NVLink")));
  OverlapOptions options;
  options.te_version = {3, 0};
  EXPECT_THAT(ToText(Tune("Qwen3-8B", "H100-SXM", options)),
              HasSubstr("TransformerEngine 3.0 is configured by the rules of 2.18"));
}

TEST(OverlapReportTest, ModelsThatCannotBeCutStop) {
  const OverlapReport report = Tune("Qwen2.5-0.5B", "H100-SXM");  // 14 heads
  EXPECT_TRUE(report.final());
  for (const TpFindings& size : report.outcome.sizes) EXPECT_LE(size.tp, 4);
  if (report.outcome.sizes.back().tp == 4) {
    EXPECT_THAT(report.outcome.sizes.back().excluded, HasSubstr("14 attention heads"));
  }
}

// The library door: what arch::ParseConfig reads goes in as it is.
TEST(OverlapReportTest, FromAModelConfig) {
  const spec::ModelConfig config =
      arch::ParseConfig(std::filesystem::path(AUTODIST_SOURCE_DIR) / "models/story-2m");
  OverlapOptions options;
  options.machine = planner::FindMachine("A100-80");
  SimulatedBackend backend(arch::OverlapModelOf(config, "story-2m"), options.max_token_len,
                           options.machine, 0, 1);
  const OverlapReport report = TuneOverlap(config, "story-2m", options, backend);
  EXPECT_EQ(report.model.name, "story-2m");
  EXPECT_EQ(VerdictText(report), "off");  // far too small
}

TEST(OverlapReportTest, Json) {
  const core::Json json = ToJson(Tune("Qwen3-8B", "H100-SXM"));
  EXPECT_THAT(NamesOf(json), ElementsAre("timestamp", "source", "final", "tuner_config",
                                         "tp_scaling", "recommendations", "operator_summaries",
                                         "switches", "analyses", "wanted"));
  EXPECT_THAT(
      NamesOf(json["tp_scaling"]),
      ElementsAre("optimal_tp_size", "verdict", "memory_forced", "tolerance", "table", "results"));
  EXPECT_THAT(
      NamesOf(json["tp_scaling"]["results"]["fc1"]),
      ElementsAre("optimal_tp_size", "scaling_efficient", "scaling_ratios", "e2e_times", "reason"));
  EXPECT_THAT(NamesOf(json["operator_summaries"]["fc1"]["2"]),
              ElementsAre("has_effective_overlap", "best_fprop", "best_dgrad", "best_wgrad"));
  EXPECT_THAT(NamesOf(json["operator_summaries"]["fc1"]["2"]["best_fprop"]),
              ElementsAre("setting", "overlapped", "wall_us", "predicted_us", "sequential_us",
                          "lower_bound_us", "communicates", "hidden", "hidden_anyway", "exposed_us",
                          "bound", "reason"));
  EXPECT_THAT(NamesOf(json["analyses"][0]),
              ElementsAre("case_id", "tp_size", "operator", "phase", "setting", "predicted_us",
                          "applied", "wall_us", "wall_error_us", "spread", "repeats", "gemm_us",
                          "comm_us", "exposed_us", "profiler_ratio"));
  EXPECT_TRUE(json["final"].get<bool>());
}

TEST(OverlapReportTest, PageHoldsEverythingAndLoadsNothing) {
  const std::string html = ToPage(Tune("Qwen3-8B", "H100-SXM")).ToHtml();
  for (const char* const part : {"Tensor-parallel sizes", "Sites at tp", "fc1_dgrad, bulk",
                                 "Every case", "tp2_qkv_fprop_baseline"})
    EXPECT_THAT(html, HasSubstr(part));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
}

TEST(OverlapOptionsTest, RefusalsNameFlagAndLimit) {
  const auto refusal = [](void (*change)(OverlapOptions&), const char* model = "Qwen3-8B") {
    OverlapOptions options;
    options.machine = planner::FindMachine("H100-SXM");
    change(options);
    try {
      Validate(options, *arch::FindKnownModel(model));
    } catch (const core::Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal([](OverlapOptions& o) { o.max_tp_size = 3; }),
            "--max-tp-size is 3, must be 2, 4 or 8");
  EXPECT_THAT(refusal([](OverlapOptions& o) { o.max_num_sm = 33; }),
              HasSubstr("--max-num-sm is 33"));
  EXPECT_THAT(refusal([](OverlapOptions& o) { o.min_num_sm = 0; }), HasSubstr("--min-num-sm is 0"));
  EXPECT_THAT(refusal([](OverlapOptions& o) { o.scaling_tolerance = 0.9; }),
              HasSubstr("--scaling-tolerance is 0.9, must be a ratio in [1, 2)"));
  EXPECT_THAT(refusal([](OverlapOptions& o) { o.repeats = 3; }), HasSubstr("--repeats is 3"));
  EXPECT_THAT(
      refusal([](OverlapOptions& o) { o.operators = {spec::LinearOp::kFc1}; }, "Qwen3-30B-A3B"),
      HasSubstr("--operators: Qwen/Qwen3-30B-A3B has no fc1: experts have no userbuffers"));
}

TEST(ReportDiffTest, TwoMachines) {
  const std::filesystem::path a = std::filesystem::path(::testing::TempDir()) / "diff_a.json";
  const std::filesystem::path b = std::filesystem::path(::testing::TempDir()) / "diff_b.json";
  std::ofstream(a) << core::DumpJson(ToJson(Tune("Qwen3-8B", "H100-SXM")));
  std::ofstream(b) << core::DumpJson(ToJson(Tune("Qwen3-8B", "A100-80")));
  const ReportDifference difference = DiffReports(a, b);
  EXPECT_EQ(difference.layers.front().tp, 1);
  EXPECT_GT(difference.layers.front().wall_b_us, 2 * difference.layers.front().wall_a_us);
  EXPECT_GE(difference.sites.size(), 24u);
  EXPECT_THAT(ToText(difference), HasSubstr("different sources"));
  EXPECT_TRUE(DiffReports(a, a).remarks.empty());

  std::ofstream(b) << R"({"tuner_config": []})";
  try {
    DiffReports(a, b);
    ADD_FAILURE();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("field tuner_config must be an object"));
  }
  std::filesystem::remove(a);
  std::filesystem::remove(b);
}

}  // namespace
}  // namespace autodist::tune
