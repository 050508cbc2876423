#include "autodist/tune/te_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "autodist/arch/known_models.h"
#include "autodist/core/file.h"
#include "autodist/tune/overlap_tuner.h"
#include "autodist/tune/report_files.h"
#include "autodist/tune/simulated_backend.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;
using spec::OverlapSetting;
using ::testing::HasSubstr;
using ::testing::Not;

const std::filesystem::path kGolden =
    std::filesystem::path(AUTODIST_SOURCE_DIR) / "tests/golden/data/overlap";

OverlapReport Tune(const std::string& model, TeVersion version = {}) {
  OverlapOptions options;
  options.max_tp_size = 4;
  options.machine = planner::FindMachine("H100-SXM");
  options.te_version = version;
  const spec::OverlapModel dimensions = *arch::FindKnownModel(model);
  SimulatedBackend backend(dimensions, options.max_token_len, options.machine, 0, 1);
  return TuneOverlap(dimensions, options, backend);
}

std::string YamlAt(const OverlapReport& report, int tp) {
  const TpFindings* const size = report.outcome.Find(tp);
  return size == nullptr ? "" : ToYaml(ConfigOf(*size), tp, report.options.te_version, "test");
}

OverlapSetting Parsed(const YAML::Node& fields) {
  OverlapSetting setting{.method =
                             spec::ParseOverlapMethod(fields["method"].as<std::string>(), "yaml")};
  setting.num_sm = fields["num_sm"].as<int>();
  setting.cga_size = fields["cga_size"].as<int>();
  setting.num_splits = fields["num_splits"].as<int>();
  setting.aggregate = fields["aggregate"].as<bool>();
  setting.set_sm_margin = fields["set_sm_margin"].as<bool>();
  return setting;
}

// What a YAML library reads from the text, checked by the rules of the target version.
void ExpectValid(const std::string& yaml, const OverlapReport& report, int tp) {
  TeConfig config;
  for (const auto& entry : YAML::Load(yaml)) {
    const std::string key = entry.first.as<std::string>();
    for (const auto& field : entry.second)
      EXPECT_TRUE(KnowsField(report.options.te_version, field.first.as<std::string>()))
          << key << " " << field.first.as<std::string>();
    config[spec::ParseSite(key, "yaml")] = Parsed(entry.second);
  }
  EXPECT_EQ(
      WhyInvalid(config, report.model, tp, report.options.max_token_len, report.options.te_version),
      "");
}

// Set AUTODIST_UPDATE_GOLDEN to write the files again.
TEST(TeConfigTest, GoldenFiles) {
  for (const auto& [model, tp] :
       {std::pair{"Qwen2.5-0.5B", 2}, std::pair{"Qwen3-8B", 4}, std::pair{"Llama-3-70B", 4}}) {
    const OverlapReport report = Tune(model);
    ASSERT_TRUE(report.final());
    const std::string yaml = YamlAt(report, tp);
    ASSERT_NE(yaml, "");
    ExpectValid(yaml, report, tp);
    const std::filesystem::path path = kGolden / fmt::format("{}_tp{}.yaml", model, tp);
    if (std::getenv("AUTODIST_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << yaml;
    EXPECT_EQ(core::ReadFile(path, 1 << 20), yaml) << path;
  }
}

TEST(TeConfigTest, EveryVersionGetsWhatItKnows) {
  for (const TeVersion version : {TeVersion{1, 8}, {2, 0}, {2, 7}, {2, 18}}) {
    const OverlapReport report = Tune("Llama-3-70B", version);
    for (const int tp : {2, 4}) {
      const std::string yaml = YamlAt(report, tp);
      ASSERT_NE(yaml, "") << ToText(version);
      ExpectValid(yaml, report, tp);
    }
  }
  EXPECT_THAT(YamlAt(Tune("Llama-3-70B", {1, 8}), 2),
              Not(HasSubstr("pipeline_rs_overlap_first_gemm")));
}

// (a) to (e) of the writer's rules, one by one.
TEST(TeConfigTest, WhatTransformerEngineWouldRefuse) {
  const spec::OverlapModel model = *arch::FindKnownModel("Llama-3-70B");
  const auto why = [&](const std::map<std::string, OverlapSetting>& entries, int tp = 4,
                       int64_t tokens = 8192) {
    TeConfig config;
    for (const auto& [key, setting] : entries) config[spec::ParseSite(key, "test")] = setting;
    return WhyInvalid(config, model, tp, tokens, TeVersion{2, 18});
  };
  const OverlapSetting ring{.method = OverlapMethod::kRingExchange};
  const OverlapSetting bulk{.method = OverlapMethod::kBulk, .num_sm = 8, .cga_size = 2};
  EXPECT_EQ(why({{"qkv_fprop", ring}, {"qkv_dgrad", bulk}, {"qkv_wgrad", bulk}}), "");
  EXPECT_THAT(why({{"qkv_dgrad", ring}, {"qkv_wgrad", bulk}}), HasSubstr("must be absent"));
  EXPECT_THAT(why({{"qkv_wgrad", bulk}}), HasSubstr("must be absent"));
  EXPECT_THAT(why({{"qkv_fprop", bulk}}), HasSubstr("takes no bulk there"));
  OverlapSetting pipeline{.method = OverlapMethod::kPipeline, .num_sm = 16, .num_splits = 4};
  EXPECT_EQ(why({{"proj_fprop", pipeline}}), "");
  EXPECT_THAT(why({{"fc1_fprop", pipeline}}), HasSubstr("takes no pipeline there"));
  pipeline.num_splits = 3;
  EXPECT_THAT(why({{"proj_fprop", pipeline}}), HasSubstr("num_splits 3 does not divide"));
  OverlapSetting wide = bulk;
  wide.num_sm = 34;
  EXPECT_THAT(why({{"fc1_dgrad", wide}}), HasSubstr("num_sm is 34, must be in [1, 32]"));
  wide.num_sm = 7;
  EXPECT_THAT(why({{"fc1_dgrad", wide}}), HasSubstr("not divisible by cga_size 2"));
  OverlapSetting pairs = ring;
  pairs.aggregate = true;
  EXPECT_EQ(why({{"fc2_dgrad", pairs}}), "");
  EXPECT_THAT(why({{"fc2_fprop", pairs}}), HasSubstr("aggregate is for gathers"));
  EXPECT_THAT(why({{"qkv_fprop", ring}}, 3), HasSubstr("tp 3 is not"));
  EXPECT_THAT(why({{"qkv_fprop", ring}}, 4, 8190), HasSubstr("8190 tokens"));
}

TEST(TeConfigTest, RingsAtScattersDoNotInheritThePipelinesDefaults) {
  const TeConfig config = {
      {spec::ParseSite("fc2_fprop", "test"), {.method = OverlapMethod::kRingExchange}}};
  EXPECT_EQ(ToYaml(config, 4, {2, 18}, "heading"),
            "# heading\nfc2_fprop:\n  method: ring_exchange\n  num_sm: 1\n  cga_size: 1\n"
            "  set_sm_margin: false\n  num_splits: 4\n  aggregate: false\n  atomic_gemm: false\n"
            "  use_ce: true\n  fp8_buf: false\n  pipeline_rs_overlap_first_gemm: false\n");
  EXPECT_EQ(ToYaml({}, 4, {2, 18}, "none"), "# none\n{}\n");
}

TEST(TeConfigTest, AWgradInBulkBringsItsDgradAlong) {
  const OverlapCase wgrad{.tp = 2,
                          .site = spec::ParseSite("qkv_wgrad", "test"),
                          .setting = {.method = OverlapMethod::kBulk, .num_sm = 6}};
  EXPECT_EQ(ConfigOf(wgrad).size(), 2u);
  EXPECT_EQ(FlagsOf(wgrad), (OverlapFlags{.bulk_wgrad = true}));
}

TEST(TeConfigTest, MegatronArguments) {
  TpFindings size{.tp = 4};
  EXPECT_EQ(MegatronFlags(size.tp, size.flags.flags, "f.yaml"),
            "--tensor-model-parallel-size 4\n--sequence-parallel\n");
  size.flags.flags = {.overlap_ag = true, .bulk_dgrad = true, .disable_qkv = true};
  EXPECT_EQ(MegatronFlags(size.tp, size.flags.flags, "f.yaml"),
            "--tensor-model-parallel-size 4\n--sequence-parallel\n--tp-comm-overlap\n"
            "--tp-comm-overlap-cfg f.yaml\n--disable-tp-comm-overlap-rs\n"
            "--disable-tp-comm-bulk-wgrad\n"
            "# and tp_comm_overlap_disable_qkv = True in the transformer configuration: no "
            "argument sets it\n");
}

TEST(ReportFilesTest, EveryFileIsThere) {
  const std::filesystem::path directory =
      std::filesystem::path(::testing::TempDir()) / "autodist_report_files";
  std::filesystem::create_directories(directory);
  const OverlapReport report = Tune("Llama-3-70B");
  WriteReportFiles(report, directory);
  for (const char* const name :
       {"tuning_report.json", "summary.txt", "report.html", "overlap.json",
        "optimal_tp_comm_overlap_cfg.yaml", "optimal_tp_comm_overlap_cfg_tp2.yaml",
        "optimal_tp_comm_overlap_cfg_tp4.yaml", "megatron_flags.txt", "megatron_flags_tp2.txt"})
    EXPECT_GT(std::filesystem::file_size(directory / name), 0u) << name;
  const core::Json overlap = core::ParseJsonFile(directory / "overlap.json");
  EXPECT_EQ(overlap["sizes"]["2"].size(), 12u);
  EXPECT_EQ(
      spec::ParseOverlapSetting(overlap["sizes"]["4"]["qkv_dgrad"]["setting"], "overlap").method,
      OverlapMethod::kBulk);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace autodist::tune
