#include "autodist/tune/transformer_engine.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "autodist/core/error.h"

namespace autodist::tune {
namespace {

using spec::OverlapMethod;

TEST(TeVersionTest, ReadsVersions) {
  EXPECT_EQ(ParseTeVersion("2.7"), (TeVersion{2, 7}));
  EXPECT_EQ(ParseTeVersion("1.8.0"), (TeVersion{1, 8}));
  EXPECT_LT((TeVersion{2, 7}), (TeVersion{2, 18}));
  EXPECT_EQ(ToText({2, 18}), "2.18");
  for (const char* text :
       {"", "2", "2.", ".7", "v2.7", "2.x", "1.4", "-1.8", "2.7rc1", "9999999999.1"})
    EXPECT_THROW(ParseTeVersion(text), core::Error) << text;
}

TEST(TransformerEngineTest, MethodsGrowWithTheVersion) {
  const auto accepted = [](TeVersion version) {
    std::string text;
    for (const char* key : {"proj_fprop", "fc1_dgrad", "proj_wgrad"}) {
      text += text.empty() ? "" : ";";
      for (const OverlapMethod method : AcceptedMethods(version, spec::ParseSite(key, "test")))
        text += fmt::format(" {}", spec::NameOf(method));
    }
    return text;
  };
  EXPECT_EQ(accepted({1, 5}), " pipeline; bulk;");
  EXPECT_EQ(accepted({1, 8}), " pipeline ring_exchange; bulk pipeline;");
  EXPECT_EQ(accepted({2, 0}), " pipeline ring_exchange; bulk pipeline ring_exchange;");
  EXPECT_EQ(accepted({2, 18}), " pipeline ring_exchange; bulk pipeline ring_exchange; external");
  EXPECT_FALSE(KnowsField({1, 5}, "use_ce"));
  EXPECT_TRUE(KnowsField({1, 8}, "use_ce"));
  EXPECT_FALSE(KnowsField({1, 8}, "pipeline_rs_overlap_first_gemm"));
  EXPECT_FALSE(KnowsField({2, 18}, "is_reduce_scatter"));
}

TEST(TransformerEngineTest, WhoScattersTheGradient) {
  EXPECT_TRUE(ScattersDgrad(spec::ParseSite("fc1_dgrad", ""), OverlapMethod::kRingExchange));
  EXPECT_FALSE(ScattersDgrad(spec::ParseSite("fc1_dgrad", ""), OverlapMethod::kBulk));
  EXPECT_FALSE(ScattersDgrad(spec::ParseSite("fc2_dgrad", ""), OverlapMethod::kRingExchange));
}

// The pairs that were read in TransformerEngine's source, where that table lies beside the project:
// ours are exactly those that both pass its start-up checks and do what they say.
TEST(TransformerEngineTest, AgreesWithTheTableReadFromItsSource) {
  const std::filesystem::path path = std::filesystem::path(AUTODIST_SOURCE_DIR) /
                                     "../shared/data/tp_overlap/te_accepted_key_method.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream file(path);
  std::set<std::string> works;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::string key, method, collective, at_init, at_run_time;
    std::getline(cells, key, ',');
    std::getline(cells, method, ',');
    std::getline(cells, collective, ',');
    std::getline(cells, at_init, ',');
    std::getline(cells, at_run_time, ',');
    if (at_init.starts_with("yes") && at_run_time.starts_with("yes"))
      works.insert(key + " " + method);
  }
  EXPECT_EQ(works.size(), 18u);
  for (const spec::LinearOp op : spec::kLinearOps) {
    for (const spec::LinearPass pass : spec::kLinearPasses) {
      for (const OverlapMethod method : {OverlapMethod::kRingExchange, OverlapMethod::kPipeline,
                                         OverlapMethod::kBulk, OverlapMethod::kExternal}) {
        const std::string pair =
            fmt::format("{} {}", spec::KeyOf({op, pass}), spec::NameOf(method));
        EXPECT_EQ(Accepts({2, 18}, {op, pass}, method), works.count(pair) == 1) << pair;
      }
    }
  }
}

}  // namespace
}  // namespace autodist::tune
