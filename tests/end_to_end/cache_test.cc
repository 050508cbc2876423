// The shard cache and the files that a run writes: damage, other plans, several jobs at once, full
// disks.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class CacheTest : public ProgramTest {
 protected:
  CacheTest() { TinyModel().Write(directory_); }

  Arguments Uncached() const {
    return {"generate", directory_,     "--token-ids", "5,6,7",     "--max-output-length",
            "9",        "--ignore-eos", "--json",      "--no-cache"};
  }
  Arguments Generate(const Arguments& flags = {}) const {
    Arguments arguments = Uncached();
    arguments.pop_back();
    return Merged(Merged(arguments, {"--cache-dir", cache_}), flags);
  }
  static core::Json Ids(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
    if (outcome.exit_code != 0) return nullptr;
    return core::ParseJson(outcome.output, "stdout")["prompts"][0]["token_ids"];
  }
  core::Json Expected() { return Ids(Run(Uncached())); }
  // All files of the cache that end in `extension`, sorted.
  std::vector<fs::path> Files(const std::string& extension) const {
    std::vector<fs::path> files;
    for (const auto& file : fs::recursive_directory_iterator(cache_))
      if (file.path().extension() == extension) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    return files;
  }
  // Runs on what is in the cache; whatever that is, the tokens are right, and a second run has
  // nothing to say.
  std::string ErrorsOfARun() {
    const Outcome outcome = Run(Generate());
    EXPECT_EQ(Ids(outcome), expected_);
    const Outcome again = Run(Generate());
    EXPECT_EQ(Ids(again), expected_);
    EXPECT_EQ(again.errors, "");
    return outcome.errors;
  }

  const fs::path directory_ = scratch_ / "model";
  const fs::path cache_ = scratch_ / "shards";
  core::Json expected_;
};

TEST_F(CacheTest, Row61AnyDamageIsFoundAndBuiltAgain) {
  expected_ = Ids(Run(Generate()));
  const fs::path data = Files(".bin").at(0);
  for (const fs::path& file : {data, Files(".json").at(0)}) {
    const std::string good = ReadBytes(file);
    for (const size_t at : {size_t{1}, good.size() / 2, good.size() - 1}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x04);
      WriteBytes(file, bad);
      EXPECT_THAT(ErrorsOfARun(), HasSubstr(data.string() + " is built again"))
          << file << " at " << at;
    }
  }
}

TEST_F(CacheTest, Row69IncompleteAndForeignShards) {
  expected_ = Ids(Run(Generate()));
  const fs::path data = Files(".bin").at(0);
  const fs::path manifest = Files(".json").at(0);
  const std::string good = ReadBytes(data);

  fs::remove(manifest);
  ErrorsOfARun();
  WriteBytes(data, good.substr(0, good.size() - 4096));
  EXPECT_THAT(ErrorsOfARun(), HasSubstr("built again"));
  WriteBytes(data, good + std::string(4096, '\0'));
  EXPECT_THAT(ErrorsOfARun(), HasSubstr("built again"));
  fs::remove(data);
  EXPECT_THAT(ErrorsOfARun(), HasSubstr("built again"));
  WriteBytes(manifest, std::string(100'000, '['));
  EXPECT_THAT(ErrorsOfARun(), HasSubstr("built again"));
  // The manifest and the data of another plan, under this one's name.
  Ids(Run(Generate({"--tp", "2"})));
  for (const fs::path& other : Files(".json"))
    if (other.parent_path() != manifest.parent_path() && other.filename() == manifest.filename()) {
      fs::copy_file(other, manifest, fs::copy_options::overwrite_existing);
      fs::copy_file(fs::path(other).replace_extension(".bin"), data,
                    fs::copy_options::overwrite_existing);
    }
  EXPECT_THAT(ErrorsOfARun(), HasSubstr("built again"));
}

TEST_F(CacheTest, Row69TheLockOfADeadJobIsTakenOver) {
  expected_ = Ids(Run(Generate()));
  const fs::path entry = Files(".bin").at(0).parent_path();
  fs::remove(entry / "rank_0.json");
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  WriteBytes(entry / "rank_0.lock", fmt::format("autodist-lock pid 4194303 host {}\n", host));
  const Outcome outcome = Run(Generate());
  EXPECT_EQ(Ids(outcome), expected_);
  EXPECT_THAT(outcome.errors, HasSubstr("pid 4194303 died"));
  EXPECT_LT(outcome.seconds, 20);
}

// Quantised weights come out of the cache as they went in, and never in place of others.
TEST_F(CacheTest, EveryFormOfTheWeightsHasItsOwnEntry) {
  size_t entries = 0;
  for (const char* weights : {"auto", "int8", "int4"}) {
    for (const char* tp : {"1", "3"}) {
      const Arguments flags = {"--weights", weights, "--tp", tp};
      const core::Json expected = Ids(Run(Merged(Uncached(), flags)));
      EXPECT_EQ(Ids(Run(Generate(flags))), expected);
      const std::vector<fs::path> written = Files(".bin");
      EXPECT_EQ(written.size(), entries += static_cast<size_t>(tp[0] - '0'));
      EXPECT_EQ(Ids(Run(Generate(flags))), expected);
      EXPECT_EQ(Files(".bin"), written);
    }
  }
}

TEST_F(CacheTest, Row62EveryPlanHasItsOwnEntry) {
  const core::Json expected = Expected();
  for (int round = 0; round < 2; ++round) {
    for (const Arguments& plan : std::vector<Arguments>{{},
                                                        {"--tp", "2"},
                                                        {"--pp", "2"},
                                                        {"--tp", "3", "--pp", "2"},
                                                        {"--pp", "2", "--stage-layers", "1,3"}})
      EXPECT_EQ(Ids(Run(Generate(plan))), expected);
    const Outcome bf16 = Run(Generate({"--dtype", "bfloat16"}));
    EXPECT_EQ(bf16.exit_code, 0) << Shown(bf16);
  }
  EXPECT_EQ(Files(".bin").size(), 1u + 2 + 2 + 6 + 2 + 1);
  // A changed checkpoint is another one.
  TinyModel changed;
  changed.Tensor("lm_head.weight").bytes = changed.Tensor("model.embed_tokens.weight").bytes;
  changed.Write(directory_);
  const Outcome outcome = Run(Generate({"--tp", "2"}));
  EXPECT_EQ(Ids(outcome), Expected());
  EXPECT_EQ(Files(".bin").size(), 2u) << "what was made of the earlier state is removed";
  EXPECT_LE(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 6) << outcome.errors;
}

TEST_F(CacheTest, Row70JobsThatStartAtOnce) {
  const core::Json expected = Expected();
  std::vector<std::unique_ptr<Program>> jobs;
  for (int job = 0; job < 4; ++job)
    jobs.push_back(std::make_unique<Program>(Generate({"--tp", "2"}), scratch_.path()));
  for (auto& job : jobs) EXPECT_EQ(Ids(job->Wait()), expected);
  EXPECT_EQ(Files(".json").size(), 2u);
  EXPECT_EQ(Files(".lock").size(), 0u);
}

// The program has read the headers and waits for its turn to read the weights; then the file
// shrinks.
TEST_F(CacheTest, Row14TheCheckpointIsTruncatedWhileItIsLoaded) {
  Ids(Run(Generate()));
  const fs::path entry = Files(".bin").at(0).parent_path();
  fs::remove(entry / "rank_0.json");
  const int lock = ::open((entry / "rank_0.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  Program program(Generate(), scratch_.path());
  ASSERT_TRUE(program.Logged("Waiting for rank 0 of another job"));
  const fs::path weights = directory_ / "model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  ::unlink((entry / "rank_0.lock").c_str());
  ::close(lock);
  const Outcome outcome = program.Wait();
  EXPECT_EQ(outcome.exit_code, 2) << Shown(outcome);
  EXPECT_THAT(outcome.errors, HasSubstr(weights.string()));
  EXPECT_THAT(outcome.errors, HasSubstr(fmt::format("has {} now", fs::file_size(weights))));
}

TEST_F(CacheTest, Row59AFullDiskCostsTheCacheOnly) {
  const core::Json expected = Expected();
  const Outcome outcome = Run(Generate(), {.max_file_bytes = 100'000});
  EXPECT_EQ(Ids(outcome), expected);
  EXPECT_THAT(outcome.errors, HasSubstr("warning: going on without the shard cache"));
  EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
  EXPECT_EQ(Files(".bin").size(), 0u);
}

TEST_F(CacheTest, Row59ResultsThatCannotBeWrittenAreAnError) {
  const fs::path results = scratch_ / "results";
  ASSERT_EQ(Run(Generate({"--output-dir", results})).exit_code, 0);
  const std::string before = ReadBytes(results / "generate.json");
  const Outcome outcome =
      Run(Merged(Uncached(), {"--output-dir", results}), {.max_file_bytes = 100});
  EXPECT_EQ(outcome.exit_code, 1) << Shown(outcome);
  EXPECT_THAT(outcome.errors, HasSubstr((results / "generate.json").string()));
  EXPECT_EQ(ReadBytes(results / "generate.json"), before) << "the old file is whole";
  EXPECT_EQ(std::distance(fs::directory_iterator(results), {}), 1) << "no temporary file is left";
}

// With a real tmpfs where this user may mount one.
TEST_F(CacheTest, Row59ATinyFileSystem) {
  const fs::path disk = scratch_ / "disk";
  fs::create_directory(disk);
  const auto on_disk = [&](const std::string& size) {
    return ProgramOptions{
        .wrapper = {"unshare", "-m", "sh", "-c",
                    fmt::format("mount -t tmpfs -o size={} none '{}' && exec \"$0\" \"$@\"", size,
                                disk.string())}};
  };
  const Outcome probe = Run({"--version"}, on_disk("16k"));
  if (probe.exit_code != 0) GTEST_SKIP() << "no mount namespace: " << probe.errors;
  const Outcome cache = Run(Generate({"--cache-dir", disk}), on_disk("64k"));
  EXPECT_EQ(Ids(cache), Expected());
  EXPECT_THAT(cache.errors, HasSubstr("warning: going on without the shard cache"));
  const Outcome results =
      Run(Generate({"--output-dir", disk, "--max-output-length", "200"}), on_disk("4k"));
  EXPECT_EQ(results.exit_code, 1) << Shown(results);
  EXPECT_THAT(results.errors, HasSubstr("No space left"));
}

TEST_F(CacheTest, DirectoriesThatCannotBeUsed) {
  const std::string file = scratch_ / "file";
  WriteBytes(file, "");
  EXPECT_TRUE(Refused(Run(Generate({"--cache-dir", file + "/sub"})), 2, {file}));
  EXPECT_TRUE(Refused(Run(Generate({"--output-dir", file + "/sub"})), 2, {"--output-dir", file}));
  // Nobody asked for the default directory.
  const Outcome outcome =
      Run({"generate", directory_, "--token-ids", "5", "--max-output-length", "2"},
          {.environment = {{"XDG_CACHE_HOME", file}}});
  EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
  EXPECT_THAT(outcome.errors, HasSubstr("warning: going on without the shard cache"));
}

}  // namespace
}  // namespace autodist::testing
