// Models named as on the hub, found in its local cache or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

namespace fs = std::filesystem;

const std::string kOld = std::string(40, 'a');
const std::string kNew = std::string(40, 'b');

class HubCacheTest : public ProgramTest {
 protected:
  HubCacheTest() {
    TinyShape shape;
    AddSnapshot(kOld, shape);
    shape.layers = 2;
    AddSnapshot(kNew, shape);
    WriteBytes(Repository() / "refs/main", kNew);
  }

  fs::path Repository() const { return scratch_ / "hub/models--org--tiny"; }

  // As the hub's library lays them out: links into blobs/.
  void AddSnapshot(const std::string& commit, const TinyShape& shape) {
    const fs::path files = scratch_ / ("files-" + commit);
    TinyModel(shape).Write(files);
    const fs::path snapshot = Repository() / "snapshots" / commit;
    fs::create_directories(snapshot);
    fs::create_directories(Repository() / "blobs");
    for (const auto& file : fs::directory_iterator(files)) {
      const std::string blob = commit + file.path().filename().string();
      fs::rename(file.path(), Repository() / "blobs" / blob);
      fs::create_symlink(fs::path("../../blobs") / blob, snapshot / file.path().filename());
    }
  }

  Outcome Plan(const std::string& model, const std::string& variable = "HF_HUB_CACHE",
               const std::string& value = "") {
    return Run({"plan", model, "--json"},
               {.environment = {{variable, value.empty() ? (scratch_ / "hub").string() : value}}});
  }
  static int64_t Layers(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
    if (outcome.exit_code != 0) return -1;
    return core::ParseJson(outcome.output, "stdout")["ranks"][0]["layers"][1].get<int64_t>();
  }
};

TEST_F(HubCacheTest, NamesAndRevisions) {
  EXPECT_EQ(Layers(Plan("org/tiny")), 2);
  EXPECT_EQ(Layers(Plan("org/tiny@main")), 2);
  EXPECT_EQ(Layers(Plan("org/tiny@" + kOld)), 4);
}

TEST_F(HubCacheTest, WhereTheCacheIs) {
  const fs::path other = scratch_ / "other";
  fs::create_directories(other / "huggingface");
  fs::rename(scratch_ / "hub", other / "huggingface/hub");
  EXPECT_EQ(Layers(Plan("org/tiny", "HF_HOME", other / "huggingface")), 2);
  EXPECT_EQ(Layers(Plan("org/tiny", "XDG_CACHE_HOME", other)), 2);
  fs::create_directories(scratch_ / ".cache");
  fs::rename(other / "huggingface", scratch_ / ".cache/huggingface");
  EXPECT_EQ(Layers(Plan("org/tiny", "XDG_CACHE_HOME", scratch_ / ".cache")), 2);
}

TEST_F(HubCacheTest, WhatIsAbsentIsNotFetched) {
  EXPECT_TRUE(
      Refused(Plan("org/absent"), 2, {"org/absent", scratch_ / "hub", "hf download org/absent"}));
  EXPECT_TRUE(Refused(Plan("org/tiny@v2"), 2,
                      {"v2", "org/tiny@" + kOld, "hf download org/tiny --revision v2"}));
  for (const char* name : {"../../etc", "org/../tiny", "org/tiny@../main", "-x/y", "a/b/c"})
    EXPECT_TRUE(Refused(Run({"plan", "--model", name}), 2, {name})) << name;
}

TEST_F(HubCacheTest, MissingReference) {
  fs::remove(Repository() / "refs/main");
  EXPECT_TRUE(Refused(Plan("org/tiny"), 2, {"main", "org/tiny@" + kOld, "org/tiny@" + kNew}));
  EXPECT_EQ(Layers(Plan("org/tiny@" + kNew)), 2);
  WriteBytes(Repository() / "refs/main", "../../../../etc");
  EXPECT_TRUE(Refused(Plan("org/tiny"), 2, {"refs/main", "commit hash"}));
  WriteBytes(Repository() / "refs/main", std::string(40, 'c'));
  EXPECT_TRUE(Refused(Plan("org/tiny"), 2, {std::string(40, 'c'), "missing"}));
}

TEST_F(HubCacheTest, DanglingLinks) {
  fs::remove(Repository() / "blobs" / (kNew + "model.safetensors"));
  EXPECT_TRUE(Refused(Plan("org/tiny"), 2,
                      {"model.safetensors", "does not exist", "hf download org/tiny"}));
}

TEST_F(HubCacheTest, AReadOnlyCache) {
  for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "hub"))
    if (!entry.is_symlink())
      fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::remove);
  EXPECT_EQ(Layers(Plan("org/tiny")), 2);
  const std::string text =
      Output({"generate", "org/tiny", "--token-ids", "5", "--max-output-length", "1", "--json"},
             {.environment = {{"HF_HUB_CACHE", scratch_ / "hub"}}});
  EXPECT_THAT(text, ::testing::HasSubstr("token_ids"));
  for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "hub"))
    if (!entry.is_symlink())
      fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
}

}  // namespace
}  // namespace autodist::testing
