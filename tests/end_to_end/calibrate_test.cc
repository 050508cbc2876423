// `calibrate` measures, `--cluster` plans with what was measured.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

using ::testing::HasSubstr;

class CalibrateTest : public ProgramTest {
 protected:
  CalibrateTest() { TinyModel().Write(model_); }

  // How `plan` ends with a cluster file of this text.
  Outcome PlanWith(const std::string& cluster) {
    core::WriteFileAtomically(cluster_, cluster);
    return Run({"plan", model_, "--cluster", cluster_});
  }

  const std::string model_ = scratch_ / "model";
  const std::string cluster_ = scratch_ / "cluster.json";
};

TEST_F(CalibrateTest, PlansRestOnWhatWasMeasured) {
  const std::string printed =
      Output({"calibrate", "--ranks", "2", "--threads", "1", "--output", cluster_, "--json"},
             {.timeout_s = 300});  // it reads and computes for most of a minute by itself
  const core::Json cluster = core::ParseJsonFile(cluster_);
  EXPECT_EQ(core::ParseJson(printed, "stdout"), cluster);
  const std::string plan = Output({"plan", model_, "--ranks", "2", "--cluster", cluster_});
  EXPECT_THAT(plan, HasSubstr(fmt::format("{} cores, {:.3g} GB/s", cluster["cores"].get<int>(),
                                          cluster["read_bytes_per_s"].get<double>() / 1e9)));
}

TEST_F(CalibrateTest, WhatIsNoClusterIsRefused) {
  EXPECT_TRUE(Refused(PlanWith("{}"), 2, {cluster_, "cores"}));
  EXPECT_TRUE(Refused(PlanWith(R"({"cores": 0})"), 2, {cluster_, "cores", "0"}));
  EXPECT_TRUE(Refused(PlanWith(R"({"cores": 2, "sockets": 1})"), 2, {cluster_, "sockets"}));
  EXPECT_TRUE(
      Refused(PlanWith(R"({"cores": 2, "read_bytes_per_s": -1})"), 2, {"read_bytes_per_s", "-1"}));
  EXPECT_TRUE(Refused(Run({"plan", model_, "--cluster", model_ + "/absent"}), 2, {"absent"}));
}

TEST_F(CalibrateTest, NeedsAPlaceForTheResult) {
  EXPECT_TRUE(Refused(Run({"calibrate"}), 2, {"--output"}));
  EXPECT_TRUE(Refused(Run({"calibrate", "--output", cluster_, "--dtype", "float16"}), 2,
                      {"--dtype is float16", "float32 or bfloat16"}));
  // At once, and not when everything is measured.
  const std::string absent = model_ + "/absent/cluster.json";
  EXPECT_TRUE(Refused(Run({"calibrate", "--output", absent}), 2, {absent, "cannot be created"}));
  EXPECT_TRUE(Refused(Run({"calibrate", "--output", model_}), 2, {model_}));
}

TEST_F(CalibrateTest, RanksAreThoseThatThereAre) {
  EXPECT_TRUE(Refused(Run({"calibrate", "--output", cluster_, "--ranks", "257"}), 2,
                      {"257 ranks on one host", "256"}));
  EXPECT_TRUE(Refused(Run({"calibrate", "--output", cluster_, "--ranks", "3"},
                          {.environment = {{"RANK", "0"},
                                           {"WORLD_SIZE", "1"},
                                           {"MASTER_ADDR", "127.0.0.1"},
                                           {"MASTER_PORT", "29555"}}}),
                      2, {"--ranks is 3", "the launcher started 1"}));
}

}  // namespace
}  // namespace autodist::testing
