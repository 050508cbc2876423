#include "autodist/device/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "autodist/core/error.h"

namespace autodist::device {
namespace {

using testing::HasSubstr;

class ControlGroupTest : public testing::Test {
 protected:
  ControlGroupTest()
      : mount_(std::filesystem::path(testing::TempDir()) /
               ("control_groups_" + std::to_string(getpid()))) {}
  ~ControlGroupTest() override { std::filesystem::remove_all(mount_); }

  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((mount_ / name).parent_path());
    std::ofstream(mount_ / name) << text;
  }

  std::filesystem::path mount_;
};

TEST_F(ControlGroupTest, Version2TakesTheTightestAncestor) {
  Write("memory.max", "max\n");
  Write("box/cpu.max", "150000 100000\n");
  Write("box/memory.max", "1000000\n");
  Write("box/memory.current", "300000\n");
  Write("box/memory.stat", "anon 100\ninactive_file 200000\n");
  Write("box/job/cpu.max", "max 100000\n");
  Write("box/job/memory.max", "max\n");
  Write("box/job/memory.current", "5\n");
  const ControlGroupLimits limits = ReadControlGroupLimits("0::/box/job\n", mount_);
  EXPECT_EQ(limits.cores, 1.5);
  EXPECT_EQ(limits.memory_left_bytes, 900000u);
}

TEST_F(ControlGroupTest, Version1HasOneTreePerController) {
  Write("memory/a/memory.limit_in_bytes", "4096\n");
  Write("memory/a/memory.usage_in_bytes", "5000\n");
  Write("cpu/b/cpu.cfs_quota_us", "50000\n");
  Write("cpu/b/cpu.cfs_period_us", "100000\n");
  Write("cpu/cpu.cfs_quota_us", "-1\n");
  Write("cpu/cpu.cfs_period_us", "100000\n");
  const ControlGroupLimits limits =
      ReadControlGroupLimits("4:memory:/a\n3:cpuset:/\n2:cpuacct,cpu:/b\n0::/\n", mount_);
  EXPECT_EQ(limits.cores, 0.5);
  EXPECT_EQ(limits.memory_left_bytes, 0u);  // over its limit already
}

TEST_F(ControlGroupTest, NothingReadableMeansNoLimit) {
  for (const char* membership : {"", "0::/gone\n", "garbage", "::"}) {
    const ControlGroupLimits limits = ReadControlGroupLimits(membership, mount_);
    EXPECT_EQ(limits.cores, ControlGroupLimits().cores);
    EXPECT_EQ(limits.memory_left_bytes, ControlGroupLimits().memory_left_bytes);
  }
}

TEST(TopologyTest, ThisHostHasACoreAndSomeMemory) {
  EXPECT_GE(UsableCores(), 1);
  EXPECT_GT(AvailableMemoryBytes(), uint64_t{1} << 20);
  EXPECT_LT(AvailableMemoryBytes(), uint64_t{1} << 60);
}

class IsaTest : public testing::Test {
 protected:
  ~IsaTest() override { unsetenv("AUTODIST_ISA"); }
};

TEST_F(IsaTest, EverySupportedSetCanBeForced) {
  for (const Isa isa : SupportedIsas()) {
    setenv("AUTODIST_ISA", std::string(NameOf(isa)).c_str(), 1);
    EXPECT_EQ(DetectIsa(), isa);
  }
  unsetenv("AUTODIST_ISA");
  EXPECT_EQ(DetectIsa(), SupportedIsas().back());
}

TEST_F(IsaTest, AnUnknownWordIsRefused) {
  setenv("AUTODIST_ISA", "sse9", 1);
  try {
    DetectIsa();
    FAIL() << "sse9 was accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("\"sse9\", must be avx2, avx512, avx512bf16 or amx"));
  }
}

TEST_F(IsaTest, ASetThatTheCpuLacksIsRefused) {
  if (SupportedIsas().back() == Isa::kAmx) GTEST_SKIP() << "this CPU has them all";
  setenv("AUTODIST_ISA", "amx", 1);
  EXPECT_THROW(DetectIsa(), core::Error);
}

}  // namespace
}  // namespace autodist::device
