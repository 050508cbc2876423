// A rank of the program, or its launcher, dies while weights are loaded, while a prompt is read, or
// while tokens are generated: everything is gone within five seconds, and nothing is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "autodist/checkpoint/shard_manifest.h"
#include "autodist/core/file_lock.h"
#include "tests/process/launched_job.h"

namespace autodist {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::LaunchedJob;
using testing::Launcher;
using testing::WaitUntil;

constexpr seconds kDeathTime{5};
// A rank's time-out does not count time in which it could not look, which on a busy machine is
// much.
constexpr seconds kStoppedTime{12};
constexpr int kRanks = 4;  // tp 2, pp 2

// A llama with a long context and weights that are all zero (a sparse file): it is loaded at once,
// and then kept busy for as long as a test wants.
class ZeroModel {
 public:
  explicit ZeroModel(const fs::path& directory) : directory_(directory) {
    fs::create_directories(directory);
    std::ofstream(directory / "config.json")
        << R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
            "num_key_value_heads": 4, "vocab_size": 64, "max_position_embeddings": 40000,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "tie_word_embeddings": true, "torch_dtype": "float32"})";
    Add("model.embed_tokens.weight", 64, 64);
    for (int layer = 0; layer < 4; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
        Add(prefix + "self_attn." + name + ".weight", 64, 64);
      Add(prefix + "mlp.gate_proj.weight", 128, 64);
      Add(prefix + "mlp.up_proj.weight", 128, 64);
      Add(prefix + "mlp.down_proj.weight", 64, 128);
      Add(prefix + "input_layernorm.weight", 64);
      Add(prefix + "post_attention_layernorm.weight", 64);
    }
    Add("model.norm.weight", 64);
    Write();
  }
  std::string path() const { return directory_; }

 private:
  void Add(const std::string& name, int64_t rows, int64_t cols = 0) {
    const std::string shape =
        cols == 0 ? std::to_string(rows) : std::to_string(rows) + "," + std::to_string(cols);
    const int64_t end = bytes_ + rows * std::max<int64_t>(cols, 1) * 4;
    header_ += (header_.empty() ? "{\"" : ",\"") + name + R"(":{"dtype":"F32","shape":[)" + shape +
               R"(],"data_offsets":[)" + std::to_string(bytes_) + "," + std::to_string(end) + "]}";
    bytes_ = end;
  }
  void Write() {
    header_ += "}";
    const uint64_t length = header_.size();
    const fs::path file = directory_ / "model.safetensors";
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof(length));
    out << header_;
    out.close();
    fs::resize_file(file, sizeof(length) + length + static_cast<uint64_t>(bytes_));
  }

  const fs::path directory_;
  std::string header_;
  int64_t bytes_ = 0;
};

std::string Ids(int count) {
  std::string ids = "1";
  for (int i = 1; i < count; ++i) ids += ",1";
  return ids;
}

enum class Phase { kLoad, kPrefill, kDecode };
constexpr Phase kPhases[] = {Phase::kLoad, Phase::kPrefill, Phase::kDecode};

class ProgramDeathTest : public ::testing::TestWithParam<Launcher> {
 protected:
  const testing::TestDirectory directory_{"program_death"};
  const ZeroModel model_{directory_.path() / "model"};

  void SetUp() override {
    if (GetParam() == Launcher::kTorchrun && testing::FindTorchrun().empty())
      GTEST_SKIP() << "no torchrun (AUTODIST_TORCHRUN, PATH)";
  }

  // Starts the program and returns once it is in the phase, and will be for long.
  std::unique_ptr<LaunchedJob> RunUntil(Phase phase, const std::string& timeout_s = "60") {
    if (phase == Phase::kLoad) HoldShardOfLastRank();
    auto job =
        std::make_unique<LaunchedJob>(GetParam(), kRanks,
                                      Command(phase == Phase::kPrefill ? 30000 : 3,
                                              phase == Phase::kPrefill ? 1 : 30000, timeout_s));
    EXPECT_TRUE(job->Started()) << job->errors();
    EXPECT_TRUE(WaitUntil(seconds(60), [&] { return Reached(phase, *job); })) << job->errors();
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_FALSE(job->GoneWithin(milliseconds(0))) << job->errors();
    if (phase == Phase::kPrefill) {
      EXPECT_LE(job->output().size(), prompt_.size() + 1)
          << "the prompt is too short: a token came";
    }
    return job;
  }

  void ExpectGone(LaunchedJob& job, Phase phase, seconds time = kDeathTime) {
    EXPECT_TRUE(job.GoneWithin(time)) << "phase " << static_cast<int>(phase) << job.errors();
    EXPECT_NE(job.ExitCode(job.launcher()), 0);
    EXPECT_THAT(shared_memory_.Left(), ::testing::IsEmpty());
    lock_.reset();
  }

 private:
  std::vector<std::string> Command(int prompt, int output, const std::string& timeout_s) {
    prompt_ = Ids(prompt);
    return {AUTODIST_PROGRAM,
            "generate",
            "--model=" + model_.path(),
            "--tp=2",
            "--pp=2",
            "--threads=1",
            "--cache-dir=" + cache_.string(),
            "--collective-timeout=" + timeout_s,
            "--token-ids=" + prompt_,
            "--ignore-eos",
            "--max-output-length=" + std::to_string(output)};
  }

  bool Reached(Phase phase, const LaunchedJob& job) const {
    switch (phase) {
      case Phase::kLoad:
        return job.errors().find("Waiting for rank 3 of another job") != std::string::npos;
      case Phase::kPrefill:  // the program shows the prompt when it begins to read it
        return job.output().size() >= prompt_.size();
      case Phase::kDecode:
        return job.output().size() >= prompt_.size() + 10;
    }
    return false;
  }

  // As another job does that builds it: the last rank waits, and the others wait for that one.
  void HoldShardOfLastRank() {
    if (entry_.empty()) {
      LaunchedJob once(Launcher::kNone, 1, Command(1, 1, "60"));
      ASSERT_TRUE(once.GoneWithin(seconds(60)));
      ASSERT_EQ(once.ExitCode(once.launcher()), 0) << once.errors();
      for (const auto& file : fs::recursive_directory_iterator(cache_)) {
        if (file.path().filename() == checkpoint::DataName(kRanks - 1))
          entry_ = file.path().parent_path();
      }
      ASSERT_FALSE(entry_.empty()) << "the shards were not cached";
    }
    fs::remove(entry_ / checkpoint::DataName(kRanks - 1));
    std::string holder;
    lock_ = core::FileLock::TryAcquire(entry_ / checkpoint::LockName(kRanks - 1), holder);
    ASSERT_TRUE(lock_.has_value()) << holder;
  }

  const fs::path cache_ = directory_.path() / "cache";
  const testing::SharedMemoryNames shared_memory_;
  std::string prompt_;
  fs::path entry_;
  std::optional<core::FileLock> lock_;
};

TEST_P(ProgramDeathTest, ARankIsKilled) {
  for (const Phase phase : kPhases) {
    for (const int victim : {0, kRanks - 1}) {
      const auto job = RunUntil(phase);
      ::kill(job->rank(victim), SIGKILL);
      ExpectGone(*job, phase);
      if (GetParam() == Launcher::kForked) {
        EXPECT_EQ(job->ExitCode(job->launcher()), 3) << "the code of the survivors";
        EXPECT_THAT(job->errors(),
                    ::testing::HasSubstr("rank " + std::to_string(victim) + " (process " +
                                         std::to_string(job->rank(victim)) + ") died"));
      }
    }
  }
}

TEST_P(ProgramDeathTest, TheLauncherIsKilled) {
  for (const Phase phase : kPhases) {
    const auto job = RunUntil(phase);
    ::kill(job->launcher(), SIGKILL);
    ExpectGone(*job, phase);
    // mpirun takes the other end of stdout with it: that rank 0 cannot write may be seen first.
    const bool stdout_ends = phase == Phase::kDecode && GetParam() != Launcher::kForked;
    for (int rank = 0; rank < kRanks; ++rank) {
      EXPECT_THAT(job->ExitCode(job->rank(rank)), ::testing::AnyOf(3, stdout_ends ? 1 : 3))
          << job->errors();
    }
  }
}

TEST_P(ProgramDeathTest, ARankIsStopped) {
  for (const Phase phase : kPhases) {
    const auto job = RunUntil(phase, "3");
    ::kill(job->rank(kRanks - 1), SIGSTOP);
    ExpectGone(*job, phase, seconds(3) + kStoppedTime);
    EXPECT_THAT(job->errors(), ::testing::HasSubstr("rank 3 has shown no sign of life for "));
  }
}

// All ranks come to the same refusal; one of them prints it, before any launcher can end it.
TEST_P(ProgramDeathTest, ARefusalIsPrintedOnce) {
  LaunchedJob job(GetParam(), 2,
                  {AUTODIST_PROGRAM, "generate", "--model=" + model_.path(), "--tp=2", "--no-cache",
                   "--token-ids=1,64"});
  EXPECT_TRUE(job.GoneWithin(seconds(60)));
  EXPECT_NE(job.ExitCode(job.launcher()), 0);
  if (GetParam() == Launcher::kForked) {
    EXPECT_EQ(job.ExitCode(job.launcher()), 2);
  }
  const std::string errors = job.errors();
  const size_t first = errors.find("autodist: ");
  EXPECT_NE(errors.find("id 64 is outside"), std::string::npos) << errors;
  EXPECT_EQ(errors.find("autodist: ", first + 1), std::string::npos) << errors;
}

INSTANTIATE_TEST_SUITE_P(Forked, ProgramDeathTest, ::testing::Values(Launcher::kForked));
INSTANTIATE_TEST_SUITE_P(Torchrun, ProgramDeathTest, ::testing::Values(Launcher::kTorchrun));
INSTANTIATE_TEST_SUITE_P(Mpirun, ProgramDeathTest, ::testing::Values(Launcher::kMpirun));

}  // namespace
}  // namespace autodist
