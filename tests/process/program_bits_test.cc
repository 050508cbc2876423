// The program gives the same bits whether its ranks are threads, processes or ranks of mpirun: the
// files of `autodist logits` byte for byte, the tokens of `autodist generate` one by one. They are
// also transformers' (tests/golden checks those for every family and mesh, with rank threads).
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "tests/golden/npy.h"
#include "tests/process/launched_job.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;
using testing::LaunchedJob;
using testing::Launcher;

const fs::path kData = fs::path(AUTODIST_SOURCE_DIR) / "tests/golden/data";

struct Mesh {
  int tp = 1;
  int pp = 1;
};

std::string IdList(const core::Json& ids) {
  return fmt::format("{}", fmt::join(ids.get<std::vector<int>>(), ","));
}

// Runs the program on a mesh and returns its stdout.
std::string OutputOf(Launcher launcher, const Mesh& mesh, const fs::path& model,
                     std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), AUTODIST_PROGRAM);
  for (const char* flag : {"--dtype=float32", "--threads=1", "--no-cache", "--json", "--quiet"})
    arguments.push_back(flag);
  arguments.push_back("--model=" + model.string());
  arguments.push_back("--tp=" + std::to_string(mesh.tp));
  arguments.push_back("--pp=" + std::to_string(mesh.pp));
  LaunchedJob job(launcher, mesh.tp * mesh.pp, arguments);
  EXPECT_TRUE(job.GoneWithin(std::chrono::seconds(60)));
  EXPECT_EQ(job.ExitCode(job.launcher()), 0) << job.errors();
  return job.output();
}

class ProgramBitsTest : public ::testing::TestWithParam<std::tuple<Launcher, std::string>> {
 protected:
  void SetUp() override {
    if (launcher() == Launcher::kTorchrun && testing::FindTorchrun().empty())
      GTEST_SKIP() << "no torchrun (AUTODIST_TORCHRUN, PATH)";
  }
  Launcher launcher() const { return std::get<0>(GetParam()); }
  fs::path model() const { return kData / std::get<1>(GetParam()); }
  core::Json golden() const { return core::ParseJsonFile(model() / "golden.json"); }
  // torchrun takes seconds to start, mpirun one.
  std::vector<Mesh> meshes() const {
    if (launcher() == Launcher::kForked) return {{2, 1}, {1, 2}, {2, 2}, {1, 3}, {3, 1}};
    if (launcher() == Launcher::kMpirun) return {{2, 1}, {1, 3}, {2, 2}};
    return {{2, 2}};
  }

  const testing::TestDirectory directory_{"bits"};
};

TEST_P(ProgramBitsTest, LogitsAreTheBytesOfRankThreads) {
  const core::Json prompt = golden()["prompts"][0];
  const auto logits = [&](Launcher how, const Mesh& mesh) {
    const fs::path file = directory_.path() / "logits.npy";
    fs::remove(file);
    OutputOf(how, mesh, model(),
             {"logits", "--token-ids=" + IdList(prompt["ids"]), "--output=" + file.string()});
    return file;
  };
  // All prompts one after the other; the first one's rows come first.
  testing::Matrix expected = testing::ReadNpy(model() / "golden_logits.npy");
  expected.values.resize(prompt["ids"].size() * static_cast<size_t>(expected.cols));
  for (const Mesh& mesh : meshes()) {
    SCOPED_TRACE("tp " + std::to_string(mesh.tp) + " pp " + std::to_string(mesh.pp));
    const fs::path file = logits(launcher(), mesh);
    const std::string bytes = testing::ReadText(file);
    EXPECT_LE(testing::Compare(testing::ReadNpy(file).values, expected.values).max, 1e-4);
    EXPECT_TRUE(bytes == testing::ReadText(logits(Launcher::kNone, mesh)));
  }
}

TEST_P(ProgramBitsTest, TokensAreThoseOfRankThreads) {
  const core::Json prompt = golden()["prompts"][0];
  const auto generate = [&](Launcher how, const Mesh& mesh, const char* temperature) {
    const std::string output =
        OutputOf(how, mesh, model(),
                 {"generate", "--token-ids=" + IdList(prompt["ids"]), "--ignore-eos",
                  "--max-output-length=" + std::to_string(prompt["greedy"].size()),
                  std::string("--temperature=") + temperature});
    return core::ParseJson(output, "stdout")["prompts"][0];
  };
  const Mesh mesh = meshes().back();
  const core::Json greedy = generate(launcher(), mesh, "0");
  EXPECT_EQ(greedy["token_ids"], prompt["greedy"]);
  EXPECT_EQ(greedy, generate(Launcher::kNone, mesh, "0"));
  EXPECT_EQ(generate(launcher(), mesh, "1.5"), generate(Launcher::kNone, mesh, "1.5"));
}

const auto kModels = ::testing::Values("llama_plain", "gpt2", "qwen3");
const auto kName = [](const auto& test) { return std::get<1>(test.param); };
INSTANTIATE_TEST_SUITE_P(Forked, ProgramBitsTest,
                         ::testing::Combine(::testing::Values(Launcher::kForked), kModels), kName);
INSTANTIATE_TEST_SUITE_P(Torchrun, ProgramBitsTest,
                         ::testing::Combine(::testing::Values(Launcher::kTorchrun), kModels),
                         kName);
INSTANTIATE_TEST_SUITE_P(Mpirun, ProgramBitsTest,
                         ::testing::Combine(::testing::Values(Launcher::kMpirun), kModels), kName);

}  // namespace
}  // namespace autodist
