#include "autodist/checkpoint/fingerprint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "autodist/checkpoint/safetensors.h"
#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/error.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::BuildSafetensors;
using testing::WriteBytes;

// A checkpoint with one small tensor and one of 20,000 bytes, of which the fingerprint looks at
// both ends.
class FingerprintTest : public ::testing::Test {
 protected:
  void SetUp() override { Write(scratch_.path()); }
  static void Write(const fs::path& dir) {
    WriteBytes(dir / "config.json", R"({"model_type":"llama"})");
    WriteBytes(dir / "model.safetensors",
               BuildSafetensors({{"small", "U8", {3}, "abc"},
                                 {"large", "U8", {20000}, std::string(20000, 'x')}}));
  }
  static Fingerprint Of(const fs::path& dir) { return ComputeFingerprint(dir, ReadCatalog(dir)); }
  Fingerprint Now() const { return Of(scratch_.path()); }

  // Changes one byte in place, counted from the end of the file, and restores the modification
  // time.
  void Poke(int64_t from_end, char value) const {
    const fs::path path = scratch_ / "model.safetensors";
    const auto time = fs::last_write_time(path);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-from_end, std::ios::end);
    file.put(value);
    file.close();
    fs::last_write_time(path, time);
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(FingerprintTest, StaysWhileNothingChanges) {
  EXPECT_EQ(Now().portable, Now().portable);
  EXPECT_EQ(Now().local, Now().local);
  EXPECT_EQ(Now().local.size(), 32u);
  EXPECT_NE(Now().local, Now().portable);
}

TEST_F(FingerprintTest, CopiesAgreeInThePortablePart) {
  Write(scratch_ / "copy");
  EXPECT_EQ(Of(scratch_ / "copy").portable, Now().portable);
  EXPECT_NE(Of(scratch_ / "copy").local, Now().local);
}

TEST_F(FingerprintTest, SeesTheConfigAndBothEndsOfEachTensor) {
  const auto original = Now().portable;
  WriteBytes(scratch_ / "config.json", R"({"model_type": "llama"})");
  EXPECT_NE(Now().portable, original);
  WriteBytes(scratch_ / "config.json", R"({"model_type":"llama"})");
  EXPECT_EQ(Now().portable, original);
  for (const int64_t from_end :
       {int64_t{1}, int64_t{4096}, int64_t{20000}, int64_t{20000 - 4095}, int64_t{20002}}) {
    const char old = from_end > 20000 ? 'b' : 'x';
    Poke(from_end, 'y');
    EXPECT_NE(Now().portable, original) << from_end;
    Poke(from_end, old);
    EXPECT_EQ(Now().portable, original) << from_end;
  }
}

// Rewritten in place with its old modification time: only the change time tells.
TEST_F(FingerprintTest, LocalPartSeesTheMiddleOfATensor) {
  const auto before = Now();
  Poke(10000, 'y');
  const auto after = Now();
  EXPECT_EQ(after.portable, before.portable);
  EXPECT_NE(after.local, before.local);
}

TEST_F(FingerprintTest, NeedsTheConfig) {
  fs::remove(scratch_ / "config.json");
  EXPECT_THROW(Now(), core::Error);
}

}  // namespace
}  // namespace autodist::checkpoint
