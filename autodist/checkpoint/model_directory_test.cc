#include "autodist/checkpoint/model_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/error.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::WriteBytes;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr const char* kOtherCommit = "fedcba9876543210fedcba9876543210fedcba98";

class ModelDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(name);
      saved_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      ::unsetenv(name);
    }
    ::setenv("HF_HUB_CACHE", hub_.c_str(), 1);
  }
  void TearDown() override {
    for (const auto& [name, value] : saved_) {
      ::unsetenv(name.c_str());
      if (value) ::setenv(name.c_str(), value->c_str(), 1);
    }
  }

  // A downloaded snapshot as the hub's library lays it out: files are links into blobs/.
  fs::path AddSnapshot(const std::string& folder, const std::string& commit) {
    const fs::path snapshot = hub_ / folder / "snapshots" / commit;
    WriteBytes(hub_ / folder / "blobs" / "c0ffee", "{}");
    fs::create_directories(snapshot);
    fs::create_symlink("../../blobs/c0ffee", snapshot / "config.json");
    return snapshot;
  }
  static std::string Refusal(std::string_view model) {
    try {
      return "resolved to " + ResolveModelDirectory(model).string();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
      return error.what();
    }
  }

  testing::ScratchDirectory scratch_;
  fs::path hub_ = scratch_ / "hub";
  std::map<std::string, std::optional<std::string>> saved_;
};

TEST_F(ModelDirectoryTest, ADirectoryIsItself) {
  EXPECT_EQ(ResolveModelDirectory(scratch_.path().string()), scratch_.path());
  WriteBytes(scratch_ / "file", "x");
  EXPECT_THAT(Refusal((scratch_ / "file").string()), HasSubstr("is not a directory"));
  for (const char* path :
       {"", "/no/such/directory", "./no", "a/b/c", "a/../b", "../a", "a//b", "org/na me", "a\nb"})
    EXPECT_THAT(Refusal(path), HasSubstr("no such directory")) << path;
}

TEST_F(ModelDirectoryTest, HubNamesFollowTheirReference) {
  const fs::path snapshot = AddSnapshot("models--org--name", kCommit);
  AddSnapshot("models--org--name", kOtherCommit);
  WriteBytes(hub_ / "models--org--name/refs/main", kCommit);
  WriteBytes(hub_ / "models--org--name/refs/release/v2", std::string(kOtherCommit) + "\n");
  EXPECT_EQ(ResolveModelDirectory("org/name"), snapshot);
  EXPECT_EQ(ResolveModelDirectory("org/name@main"), snapshot);
  EXPECT_EQ(ResolveModelDirectory("org/name@release/v2").filename(), kOtherCommit);
  EXPECT_EQ(ResolveModelDirectory(fmt::format("org/name@{}", kOtherCommit)).filename(),
            kOtherCommit);
}

TEST_F(ModelDirectoryTest, ModelsWithoutOrganisation) {
  const fs::path snapshot = AddSnapshot("models--gpt2", kCommit);
  WriteBytes(hub_ / "models--gpt2/refs/main", kCommit);
  EXPECT_EQ(ResolveModelDirectory("gpt2"), snapshot);
}

TEST_F(ModelDirectoryTest, WhereTheCacheLies) {
  AddSnapshot("models--org--name", kCommit);
  WriteBytes(hub_ / "models--org--name/refs/main", kCommit);
  ::unsetenv("HF_HUB_CACHE");
  EXPECT_THAT(Refusal("org/name"), HasSubstr("/.cache/huggingface/hub"));
  ::setenv("HF_HOME", scratch_.path().c_str(), 1);
  EXPECT_THAT(Refusal("org/name"), HasSubstr("resolved to"));
  ::unsetenv("HF_HOME");
  fs::create_directories(scratch_ / "huggingface");
  fs::create_symlink(hub_, scratch_ / "huggingface/hub");
  ::setenv("XDG_CACHE_HOME", scratch_.path().c_str(), 1);
  EXPECT_THAT(Refusal("org/name"), HasSubstr("resolved to"));
  ::setenv("HOME", scratch_.path().c_str(), 1);
  ::setenv("HF_HUB_CACHE", "~/hub", 1);
  EXPECT_THAT(Refusal("org/name"), HasSubstr("resolved to"));
}

// The exact command, so that it can be pasted.
TEST_F(ModelDirectoryTest, AbsentModelsNameTheDownload) {
  EXPECT_THAT(Refusal("org/name"),
              AllOf(HasSubstr(hub_.string()), HasSubstr("download it with: hf download org/name")));
  EXPECT_THAT(Refusal("org/name@v1.0"), HasSubstr("hf download org/name --revision v1.0"));
  EXPECT_THAT(Refusal("org/name@../../etc"), HasSubstr("no such directory"));
}

// Fault 67.
TEST_F(ModelDirectoryTest, DamagedCaches) {
  const fs::path repository = hub_ / "models--org--name";
  const fs::path snapshot = AddSnapshot("models--org--name", kCommit);
  AddSnapshot("models--org--name", kOtherCommit);
  EXPECT_THAT(Refusal("org/name"),
              AllOf(HasSubstr("revision main of org/name is not in the cache"),
                    HasSubstr(fmt::format("org/name@{}, org/name@{}", kCommit, kOtherCommit))))
      << "no refs/main: the snapshots are named";
  WriteBytes(repository / "refs/main", "../../../etc");
  EXPECT_THAT(Refusal("org/name"), HasSubstr("must be a commit hash"));
  WriteBytes(repository / "refs/main", std::string(40, 'a'));
  EXPECT_THAT(Refusal("org/name"),
              AllOf(HasSubstr("is missing"), HasSubstr("hf download org/name")));
  WriteBytes(repository / "refs/main", kCommit);
  fs::permissions(repository, fs::perms::owner_write, fs::perm_options::remove);
  EXPECT_EQ(ResolveModelDirectory("org/name"), snapshot) << "a read-only cache is fine";
  fs::permissions(repository, fs::perms::owner_write, fs::perm_options::add);
  fs::remove(repository / "blobs/c0ffee");
  EXPECT_THAT(Refusal("org/name"), AllOf(HasSubstr("config.json: is a link to ../../blobs/c0ffee"),
                                         HasSubstr("hf download org/name")));
}

TEST_F(ModelDirectoryTest, SlugsAreFileNames) {
  EXPECT_EQ(ModelSlug("/models/Llama-3.2_1B/"), "Llama-3.2_1B");
  EXPECT_EQ(ModelSlug("/models/my model:\xc3\xa9"), "my_model___");
  EXPECT_EQ(ModelSlug(fmt::format("/hub/models--org--name/snapshots/{}", kCommit)), "org--name");
  EXPECT_EQ(ModelSlug("/models/.hidden"), "model.hidden");
  EXPECT_EQ(ModelSlug("/"), "model");
  EXPECT_EQ(ModelSlug("/m/" + std::string(300, 'x')).size(), 64u);
}

}  // namespace
}  // namespace autodist::checkpoint
