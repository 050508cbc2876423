// --device and what belongs to it. Runs in every build, with the CUDA backend and without.
#include <gtest/gtest.h>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

class DeviceFlagTest : public ProgramTest {
 protected:
  DeviceFlagTest() { TinyModel().Write(directory_); }

  Outcome Generate(const Arguments& flags, const ProgramOptions& options = {}) {
    return Run(Merged({"generate", directory_, "--no-cache", "--prompt", "ab"}, flags), options);
  }

  const std::filesystem::path directory_ = scratch_ / "model";
};

// Row 58: what is not there is said, once however many ranks there are, and nothing else is used
// instead.
TEST_F(DeviceFlagTest, Row58NoCuda) {
  EXPECT_TRUE(Refused(Generate({"--device", "cuda"}), 2,
                      {"--device cuda: ", "; --device cpu is available"}));
  EXPECT_TRUE(Refused(Generate({"--device", "cuda", "--tp", "2", "--capture-graph"},
                               {.environment = {{"CUDA_VISIBLE_DEVICES", ""}}}),
                      2, {"--device cuda: ", "; --device cpu is available"}));
}

TEST_F(DeviceFlagTest, OtherDevicesAndGraphsOfTheCpu) {
  EXPECT_TRUE(Refused(Generate({"--device", "tpu"}), 2, {"--device", "tpu"}));
  EXPECT_TRUE(Refused(Generate({"--capture-graph"}), 2, {"--capture-graph", "cuda"}));
}

}  // namespace
}  // namespace autodist::testing
