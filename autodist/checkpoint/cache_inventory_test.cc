#include "autodist/checkpoint/cache_inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "autodist/checkpoint/shard_cache.h"
#include "autodist/checkpoint/testing/safetensors_builder.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::WriteBytes;

class CacheInventoryTest : public ::testing::Test {
 protected:
  static ShardKey Key(std::string model) {
    return {.fingerprint = "f",
            .plan = "tp 2",
            .dtype = "float32",
            .quantisation = "none",
            .isa = "avx2",
            .library = "0.1.0",
            .world = 2,
            .model = std::move(model),
            .source = "/models/x"};
  }
  fs::path Entry(const std::string& model) const { return cache_ / Key(model).EntryName(); }
  void Build(const std::string& model, int rank) const {
    auto access = ShardCache({.directory = cache_}).Acquire(Key(model), rank, 3);
    ASSERT_TRUE(access.writer);
    ASSERT_TRUE(access.writer->Add("w", "u8 [3]", std::as_bytes(std::span("abc", 3))));
    ASSERT_TRUE(access.writer->Commit());
  }

  testing::ScratchDirectory scratch_;
  fs::path cache_ = scratch_ / "cache";
};

TEST_F(CacheInventoryTest, ListsEntries) {
  EXPECT_THAT(ListCache(cache_), IsEmpty()) << "no directory yet";
  Build("beta", 0);
  Build("alpha", 1);
  Build("alpha", 0);
  fs::create_directories(cache_ / "something-else");
  const auto entries = ListCache(cache_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].path, Entry("alpha"));
  EXPECT_EQ(entries[0].key.model, "alpha");
  EXPECT_EQ(entries[0].key.plan, "tp 2");
  EXPECT_EQ(entries[0].key.world, 2);
  EXPECT_THAT(entries[0].ranks, ElementsAre(0, 1));
  EXPECT_GT(entries[0].bytes, 2u * 8192u)
      << "a page of head and one of data per rank, and the manifests";
  EXPECT_THAT(entries[1].ranks, ElementsAre(0));
}

TEST_F(CacheInventoryTest, VerifiesEveryShard) {
  Build("alpha", 0);
  Build("alpha", 1);
  Build("beta", 0);
  auto result = VerifyCache(cache_);
  EXPECT_EQ(result.good_shards, 3);
  EXPECT_EQ(result.good_bytes, 3u * 8192u);
  EXPECT_THAT(result.problems, IsEmpty());

  WriteBytes(Entry("alpha") / "rank_1.bin", std::string(8192, 'x'));
  fs::remove(Entry("beta") / "rank_0.json");
  result = VerifyCache(cache_);
  EXPECT_EQ(result.good_shards, 1);
  ASSERT_EQ(result.problems.size(), 2u);
  EXPECT_EQ(result.problems[0].path, Entry("alpha") / "rank_1.bin");
  EXPECT_THAT(result.problems[0].what, HasSubstr("differs"));
  EXPECT_EQ(result.problems[1].path, Entry("beta") / "rank_0.bin");
}

TEST_F(CacheInventoryTest, CleansWhatIsAsked) {
  Build("alpha", 0);
  Build("beta", 0);
  const auto report = CleanCache(cache_, "alpha");
  EXPECT_THAT(report.removed, ElementsAre(Key("alpha").EntryName()));
  EXPECT_GT(report.removed_bytes, 8192u);
  EXPECT_THAT(report.kept, IsEmpty());
  EXPECT_FALSE(fs::exists(Entry("alpha")));
  EXPECT_TRUE(fs::exists(Entry("beta")));
  CleanCache(cache_, "");
  EXPECT_THAT(ListCache(cache_), IsEmpty());
}

// A user may have given a directory that holds other things, under names like ours even.
TEST_F(CacheInventoryTest, TouchesNothingButItsOwn) {
  Build("alpha", 0);
  WriteBytes(Entry("alpha") / "notes.txt", "mine");
  WriteBytes(Entry("alpha") / "rank_7.bin", "somebody else's");
  WriteBytes(cache_ / "thesis.tex", "mine");
  WriteBytes(cache_ / "photos-0123456789abcdef/rank_0.bin", "another program's");
  WriteBytes(scratch_ / "outside/rank_0.bin", "autodist-shard");
  fs::create_directory_symlink(scratch_ / "outside", cache_ / "link-0123456789abcdef");

  const auto report = CleanCache(cache_, "");
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_EQ(report.kept.size(), 3u) << "notes.txt, rank_7.bin, and photos' rank_0.bin";
  EXPECT_FALSE(fs::exists(Entry("alpha") / "rank_0.bin"));
  EXPECT_TRUE(fs::exists(Entry("alpha") / "notes.txt"));
  EXPECT_TRUE(fs::exists(Entry("alpha") / "rank_7.bin"));
  EXPECT_TRUE(fs::exists(cache_ / "thesis.tex"));
  EXPECT_TRUE(fs::exists(cache_ / "photos-0123456789abcdef/rank_0.bin"));
  EXPECT_TRUE(fs::exists(scratch_ / "outside/rank_0.bin"));
}

TEST_F(CacheInventoryTest, LiveBuildersAreLeftAlone) {
  auto builder = ShardCache({.directory = cache_}).Acquire(Key("alpha"), 0, 3);
  ASSERT_TRUE(builder.writer);
  EXPECT_THAT(VerifyCache(cache_).problems, IsEmpty());
  const auto report = CleanCache(cache_, "");
  ASSERT_EQ(report.kept.size(), 1u);
  EXPECT_THAT(report.kept[0].what, HasSubstr("is creating it"));
  ASSERT_TRUE(builder.writer->Add("w", "", std::as_bytes(std::span("abc", 3))));
  EXPECT_TRUE(builder.writer->Commit());
  EXPECT_EQ(VerifyCache(cache_).good_shards, 1);
}

// Cleaning takes the entry away when it is empty; a job may have made it just then.
TEST_F(CacheInventoryTest, AJobCanStartWhileTheCacheIsCleaned) {
  for (int i = 0; i < 300; ++i) {
    const std::jthread cleaner([this](const std::stop_token& stop) {
      std::error_code ignored;
      while (!stop.stop_requested() && !fs::remove(Entry("alpha"), ignored)) {
      }
    });
    EXPECT_TRUE(ShardCache({.directory = cache_}).Acquire(Key("alpha"), 0, 3).writer) << i;
  }
}

TEST(ShardFileNameTest, OnlyOurForms) {
  EXPECT_EQ(RankOfFileName("rank_12.bin"), 12);
  EXPECT_EQ(RankOfFileName("rank_0.json.tmp.42"), 0);
  EXPECT_EQ(RankOfFileName("rank_3.lock"), 3);
  for (const char* name : {"rank_.bin", "rank_-1.bin", "rank_1.bin.tmp.", "rank_1.bin.tmp.x",
                           "rank_1", "rank_1.txt", "xrank_1.bin", "rank_99999999999.bin"})
    EXPECT_FALSE(RankOfFileName(name)) << name;
}

}  // namespace
}  // namespace autodist::checkpoint
