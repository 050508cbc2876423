#include "autodist/checkpoint/shard_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/error.h"
#include "autodist/core/testing/child_process.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::ReadBytes;
using testing::WriteBytes;

constexpr uint64_t kBlobBytes = 5000 + 3;

ShardKey Key(std::string fingerprint = "f1") {
  return {.fingerprint = std::move(fingerprint),
          .plan = "tp 2",
          .dtype = "bfloat16",
          .quantisation = "none",
          .isa = "avx2",
          .library = "0.1.0",
          .world = 2,
          .model = "toy",
          .source = "/models/toy"};
}

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string Text(const std::optional<MappedShard::Blob>& blob) {
  if (!blob) return "(absent)";
  return {reinterpret_cast<const char*>(blob->data.data()), blob->data.size()};
}

// What every test writes: a blob over a page, an empty one and a small one.
std::optional<MappedShard> Build(ShardWriter& writer, char filling = 'q') {
  writer.Add("qkv", "bf16 [2, 1250] packed", Bytes(std::string(5000, filling)));
  writer.Add("empty", "float32 [0, 1]", {});
  writer.Add("norm", "float32 [3]", Bytes("nrm"));
  return writer.Commit();
}

void ExpectContent(const MappedShard& shard, char filling = 'q') {
  EXPECT_EQ(shard.blobs(), 3u);
  EXPECT_EQ(Text(shard.Find("qkv")), std::string(5000, filling));
  EXPECT_EQ(Text(shard.Find("empty")), "");
  EXPECT_EQ(Text(shard.Find("norm")), "nrm");
  EXPECT_EQ(shard.Find("norm")->layout, "float32 [3]");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(shard.Find("norm")->data.data()) % 4096, 0u);
  EXPECT_FALSE(shard.Find("nor"));
}

// Runs `body` in a child process; its exit status, or 128 + the signal that ended it.
int InChild(const std::function<int()>& body) {
  const pid_t pid = core::testing::StartChild(body);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class ShardCacheTest : public ::testing::Test {
 protected:
  ShardCache Open(double wait_limit_s = 30.0) const {
    return ShardCache({.directory = scratch_ / "cache", .wait_limit_s = wait_limit_s});
  }
  fs::path Entry() const { return scratch_ / "cache" / Key().EntryName(); }
  fs::path Data() const { return Entry() / "rank_0.bin"; }
  fs::path Manifest() const { return Entry() / "rank_0.json"; }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& file : fs::directory_iterator(Entry()))
      names.push_back(file.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  void BuildOnce() const {
    auto access = Open().Acquire(Key(), 0, kBlobBytes);
    ASSERT_TRUE(access.writer);
    ASSERT_TRUE(Build(*access.writer));
  }
  // The log of a start that must find the shard unusable and build it again.
  std::string LogOfRebuild(const ShardKey& key = Key(), int rank = 0) const {
    ::testing::internal::CaptureStderr();
    {
      auto access = Open().Acquire(key, rank, kBlobBytes);
      EXPECT_FALSE(access.shard);
      EXPECT_TRUE(access.writer);
      if (access.writer) {
        auto shard = Build(*access.writer);
        EXPECT_TRUE(shard);
        if (shard) ExpectContent(*shard);
      }
    }
    return ::testing::internal::GetCapturedStderr();
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(ShardCacheTest, TheFirstBuildsTheSecondMaps) {
  {
    auto access = Open().Acquire(Key(), 0, kBlobBytes);
    ASSERT_TRUE(access.writer);
    EXPECT_FALSE(access.shard);
    const auto shard = Build(*access.writer);
    ASSERT_TRUE(shard);
    ExpectContent(*shard);
  }
  EXPECT_EQ(Files(), (std::vector<std::string>{"rank_0.bin", "rank_0.json"}));
  const auto again = Open().Acquire(Key(), 0, kBlobBytes);
  ASSERT_TRUE(again.shard);
  EXPECT_FALSE(again.writer);
  ExpectContent(*again.shard);
}

TEST_F(ShardCacheTest, RanksAndKeysAreApart) {
  BuildOnce();
  EXPECT_TRUE(Open().Acquire(Key(), 1, kBlobBytes).writer) << "another rank";
  for (auto change : std::vector<std::function<void(ShardKey&)>>{
           [](ShardKey& key) { key.fingerprint = "f2"; }, [](ShardKey& key) { key.plan = "tp 1"; },
           [](ShardKey& key) { key.dtype = "float32"; },
           [](ShardKey& key) { key.quantisation = "int8"; },
           [](ShardKey& key) { key.isa = "avx512"; }, [](ShardKey& key) { key.library = "0.2.0"; },
           [](ShardKey& key) { key.world = 4; }}) {
    ShardKey other = Key();
    change(other);
    other.source = "/elsewhere";  // so that it is another checkpoint, not a later state of this one
    EXPECT_NE(other.EntryName(), Key().EntryName());
    EXPECT_TRUE(Open().Acquire(other, 0, kBlobBytes).writer);
  }
  EXPECT_TRUE(Open().Acquire(Key(), 0, kBlobBytes).shard) << "is still there";
}

TEST_F(ShardCacheTest, AMappedShardOutlivesItsFiles) {
  BuildOnce();
  auto access = Open().Acquire(Key(), 0, kBlobBytes);
  ASSERT_TRUE(access.shard);
  fs::remove_all(Entry());
  const MappedShard moved = *std::move(access.shard);
  ExpectContent(moved);
}

TEST_F(ShardCacheTest, RebuildReplaces) {
  BuildOnce();
  auto access = Open().Acquire(Key(), 0, kBlobBytes, /*rebuild=*/true);
  ASSERT_TRUE(access.writer);
  ASSERT_TRUE(Build(*access.writer, 'r'));
  ExpectContent(*Open().Acquire(Key(), 0, kBlobBytes).shard, 'r');
}

TEST_F(ShardCacheTest, NothingIsVisibleBeforeCommit) {
  {
    auto access = Open().Acquire(Key(), 0, kBlobBytes);
    ASSERT_TRUE(access.writer);
    access.writer->Add("qkv", "", Bytes("half"));
    EXPECT_FALSE(fs::exists(Data()));
    EXPECT_FALSE(LoadShard(Entry(), Key().Hash(), 0).shard);
  }
  EXPECT_THAT(Files(), IsEmpty()) << "an abandoned writer leaves nothing";
}

// Faults 61 and 69: whatever is wrong is said in one line, and the shard is built again.

TEST_F(ShardCacheTest, ManifestMissing) {
  BuildOnce();
  fs::remove(Manifest());
  EXPECT_THAT(LogOfRebuild(),
              AllOf(HasSubstr("rank_0.bin is built again"), HasSubstr("manifest is missing")));
}

TEST_F(ShardCacheTest, DataMissingOrOfAnotherSize) {
  BuildOnce();
  const std::string good = ReadBytes(Data());
  WriteBytes(Data(), good.substr(0, good.size() - 1));
  EXPECT_THAT(LogOfRebuild(), HasSubstr(fmt::format("has {} bytes, its manifest says {}",
                                                    good.size() - 1, good.size())));
  fs::remove(Data());
  EXPECT_THAT(LogOfRebuild(), HasSubstr("rank_0.bin cannot be opened"));
  fs::remove(Data());
  fs::create_symlink("/etc/passwd", Data());
  EXPECT_THAT(LogOfRebuild(), HasSubstr("cannot be opened"));
}

TEST_F(ShardCacheTest, OneBitOfTheDataFlipped) {
  BuildOnce();
  const std::string good = ReadBytes(Data());
  // The mark, the first page's rest, both ends of a blob, its padding, the last byte.
  for (const size_t at : {size_t{0}, size_t{4000}, size_t{4096}, size_t{4096 + 4999},
                          size_t{4096 + 5000}, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    WriteBytes(Data(), bad);
    EXPECT_THAT(LogOfRebuild(), HasSubstr("differs")) << at;
  }
  EXPECT_EQ(ReadBytes(Data()), good);
}

TEST_F(ShardCacheTest, OneBitOfTheManifestFlipped) {
  BuildOnce();
  const std::string good = ReadBytes(Manifest());
  for (size_t at = 0; at + 1 < good.size(); ++at) {  // the last byte is a newline
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    WriteBytes(Manifest(), bad);
    const ShardLoad load = LoadShard(Entry(), Key().Hash(), 0);
    EXPECT_FALSE(load.shard) << at;
    EXPECT_FALSE(load.fault.empty()) << at;
  }
  WriteBytes(Manifest(), good.substr(0, good.size() / 2));
  EXPECT_THAT(LogOfRebuild(), HasSubstr("not valid JSON"));
}

TEST_F(ShardCacheTest, ForeignManifests) {
  BuildOnce();
  // Another entry under this one's name, as after a careless copy.
  auto other = Open().Acquire(Key("f2"), 0, kBlobBytes);
  ASSERT_TRUE(other.writer);
  ASSERT_TRUE(Build(*other.writer));
  fs::remove_all(Entry());
  fs::copy(scratch_ / "cache" / Key("f2").EntryName(), Entry());
  EXPECT_THAT(LogOfRebuild(), HasSubstr("carries another key"));

  fs::copy_file(Manifest(), Entry() / "rank_1.json");
  EXPECT_THAT(LogOfRebuild(Key(), 1), HasSubstr("belongs to rank 0"));
  WriteBytes(Manifest(), R"({"format":"something else","version":1,"hash":""})");
  EXPECT_THAT(LogOfRebuild(), HasSubstr("is not a manifest of format autodist-shard 1"));
}

// A manifest may lie with a checksum that is right; its numbers are not trusted either.
TEST_F(ShardCacheTest, ManifestsWithWrongPlaces) {
  BuildOnce();
  ShardManifest manifest = ReadManifest(Manifest());
  const auto refused = [&](const ShardManifest& bad) {
    WriteBytes(Manifest(), FormatManifest(bad));
    return LoadShard(Entry(), Key().Hash(), 0).fault;
  };
  ShardManifest bad = manifest;
  bad.blobs[0].bytes = uint64_t{1} << 60;
  EXPECT_THAT(refused(bad), HasSubstr("do not fill"));
  bad = manifest;
  bad.blobs[1].offset += 4096;
  EXPECT_THAT(refused(bad), HasSubstr("do not follow each other"));
  bad = manifest;
  bad.key.plan = "edited";
  EXPECT_THAT(refused(bad), HasSubstr("key differs from its fields"));
  EXPECT_THAT(refused(manifest), IsEmpty());
}

// Locks.

TEST_F(ShardCacheTest, ABuilderThatIsKilledIsNoticed) {
  EXPECT_EQ(InChild([this] {
              auto access = Open().Acquire(Key(), 0, kBlobBytes);
              access.writer->Add("qkv", "", Bytes(std::string(5000, 'z')));
              return ::raise(SIGKILL);
            }),
            128 + SIGKILL);
  EXPECT_EQ(Files().size(), 2u) << "lock and temporary file stay behind";
  EXPECT_THAT(LogOfRebuild(), AllOf(HasSubstr("died while it created"), Not(HasSubstr("Waiting"))));
  EXPECT_EQ(Files(), (std::vector<std::string>{"rank_0.bin", "rank_0.json"}));
}

TEST_F(ShardCacheTest, AWaiterGivesUpAtItsLimit) {
  const auto builder = Open().Acquire(Key(), 0, kBlobBytes);
  ASSERT_TRUE(builder.writer);
  ::testing::internal::CaptureStderr();
  {
    ShardCache cache = Open(/*wait_limit_s=*/0.05);
    for (int start = 0; start < 2; ++start) {
      const auto access = cache.Acquire(Key(), 0, kBlobBytes);
      EXPECT_FALSE(access.shard);
      EXPECT_FALSE(access.writer);
    }
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(
      log, HasSubstr(fmt::format("Waiting for rank 0 of another job (pid {}) to create the shard",
                                 ::getpid())));
  const auto warning = log.find("warning: going on without the shard cache");
  ASSERT_NE(warning, log.npos);
  EXPECT_EQ(log.find("warning:", warning + 1), log.npos) << "once";
}

TEST_F(ShardCacheTest, AWaiterMapsWhatTheOtherBuilt) {
  auto builder = Open().Acquire(Key(), 0, kBlobBytes);
  ASSERT_TRUE(builder.writer);
  std::thread waiter([this] {
    const auto access = Open().Acquire(Key(), 0, kBlobBytes);
    ASSERT_TRUE(access.shard);
    ExpectContent(*access.shard);
  });
  EXPECT_TRUE(Build(*builder.writer));
  waiter.join();
}

// Fault 70.
TEST_F(ShardCacheTest, JobsThatStartAtOnceBuildOnce) {
  constexpr int kJobs = 4;
  std::vector<pid_t> jobs;
  for (int job = 0; job < kJobs; ++job) {
    jobs.push_back(core::testing::StartChild([&] {
      auto access = Open().Acquire(Key(), 0, kBlobBytes);
      const bool builds = access.writer.has_value();
      const auto shard = builds ? Build(*access.writer) : std::move(access.shard);
      const bool right = shard && Text(shard->Find("norm")) == "nrm";
      return !right ? 2 : builds ? 1 : 0;
    }));
  }
  int builders = 0;
  for (const pid_t pid : jobs) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_LE(WEXITSTATUS(status), 1);
    builders += WEXITSTATUS(status);
  }
  EXPECT_EQ(builders, 1);
}

// Directories and disks.

TEST_F(ShardCacheTest, AGivenDirectoryMustBeUsable) {
  WriteBytes(scratch_ / "file", "x");
  try {
    ShardCache({.directory = scratch_ / "file" / "cache"});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("file/cache"), HasSubstr("cannot be created or written")));
  }
  EXPECT_THROW(ShardCache({.directory = scratch_ / "file"}), core::Error);

  // The entry cannot be made, though the directory can be written.
  ShardCache cache = Open();
  WriteBytes(Entry(), "a file where the entry should be");
  EXPECT_THROW(cache.Acquire(Key(), 0, kBlobBytes), core::Error);
}

TEST_F(ShardCacheTest, AnUnusableDefaultDirectoryDisablesTheCache) {
  WriteBytes(scratch_ / "file", "x");
  EXPECT_EQ(InChild([this] {
              ::setenv("XDG_CACHE_HOME", (scratch_ / "file").c_str(), 1);
              ::testing::internal::CaptureStderr();
              ShardCache cache({});
              const auto access = cache.Acquire(Key(), 0, kBlobBytes);
              const std::string log = ::testing::internal::GetCapturedStderr();
              const bool warned =
                  log.find("warning: going on without the shard cache: ") != log.npos;
              return !cache.enabled() && !access.shard && !access.writer && warned ? 0 : 1;
            }),
            0);
}

TEST_F(ShardCacheTest, TheDefaultDirectory) {
  EXPECT_EQ(InChild([] {
              ::setenv("HOME", "/home/x", 1);
              ::setenv("XDG_CACHE_HOME", "/xdg", 1);
              if (DefaultCacheDirectory() != "/xdg/autodist") return 1;
              ::setenv("XDG_CACHE_HOME", "relative", 1);
              if (DefaultCacheDirectory() != "/home/x/.cache/autodist") return 2;
              ::unsetenv("HOME");
              return DefaultCacheDirectory() ? 3 : 0;
            }),
            0);
}

// Fault 59: writes fail in the middle. The run keeps its own blobs; the cache keeps nothing.
TEST_F(ShardCacheTest, WritesThatFail) {
  EXPECT_EQ(InChild([this] {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{8192, 8192};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              auto access = Open().Acquire(Key(), 0, kBlobBytes);
              if (!access.writer) return 1;
              ::testing::internal::CaptureStderr();
              if (access.writer->Add("qkv", "", Bytes(std::string(size_t{3} << 20, 'q')))) return 2;
              if (access.writer->Add("norm", "", Bytes("nrm"))) return 3;
              if (access.writer->Commit()) return 4;
              const std::string log = ::testing::internal::GetCapturedStderr();
              const auto warning = log.find("warning: going on without the shard cache: ");
              if (warning == log.npos ||
                  log.find("rank_0.bin cannot be written: File too large") == log.npos)
                return 5;
              return log.find("warning", warning + 1) == log.npos ? 0 : 6;
            }),
            0);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(ShardCacheTest, ADiskThatIsFull) {
  constexpr int kNoMount = 77;
  const int status = InChild([this] {
    const fs::path disk = scratch_ / "disk";
    fs::create_directories(disk);
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=2m") != 0)
      return kNoMount;
    ShardCache cache({.directory = disk / "cache"});
    if (cache.Acquire(Key(), 0, uint64_t{4} << 20).writer)
      return 1;  // no room is seen before writing
    auto access = cache.Acquire(Key(), 0, 1000);
    if (!access.writer) return 2;
    const std::string blob(size_t{1} << 20, 'q');
    if (!access.writer->Add("a", "", Bytes(blob)) || access.writer->Add("b", "", Bytes(blob)))
      return 3;
    if (access.writer->Commit()) return 4;
    for (const auto& file : fs::recursive_directory_iterator(disk))
      if (file.is_regular_file()) return 5;
    return 0;
  });
  if (status == kNoMount) GTEST_SKIP() << "mounting is not permitted here";
  EXPECT_EQ(status, 0);
}

// Shards of an earlier state of the checkpoint can never match again; others are left alone.
TEST_F(ShardCacheTest, OutdatedEntriesGo) {
  BuildOnce();
  ShardKey elsewhere = Key();
  elsewhere.source = "/other/toy";
  elsewhere.plan = "tp 8";
  {
    auto access = Open().Acquire(elsewhere, 0, kBlobBytes);
    ASSERT_TRUE(access.writer);
    ASSERT_TRUE(Build(*access.writer));
  }
  EXPECT_THAT(LogOfRebuild(Key("f2")), HasSubstr("made from an earlier state of /models/toy"));
  EXPECT_FALSE(fs::exists(Entry()));
  EXPECT_TRUE(fs::exists(scratch_ / "cache" / elsewhere.EntryName()));
  EXPECT_TRUE(fs::exists(scratch_ / "cache" / Key("f2").EntryName()));
}

}  // namespace
}  // namespace autodist::checkpoint
