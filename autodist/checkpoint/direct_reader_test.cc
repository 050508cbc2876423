#include "autodist/checkpoint/direct_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "autodist/checkpoint/testing/safetensors_builder.h"

namespace autodist::checkpoint {
namespace {

using Residence = DirectReader::Residence;

constexpr size_t kBytes = 3 * DirectReader::kAlignment + 123;
constexpr size_t kBufferBytes = size_t{2} << 20;  // from here on a device::Buffer is aligned

class DirectReaderTest : public ::testing::Test {
 protected:
  DirectReaderTest() {
    for (size_t i = 0; i < kBytes; ++i) content_.push_back(static_cast<char>(i * 7 + i / 256));
    testing::WriteBytes(path_, content_);
  }

  testing::ScratchDirectory scratch_;
  const std::filesystem::path path_ = scratch_ / "file";
  std::string content_;
};

TEST_F(DirectReaderTest, ReadsExactlyWhatWasAskedFor) {
  const core::InputFile file(path_);
  const DirectReader reader(file);
  const device::Buffer buffer(kBufferBytes);
  uint64_t requested = 0;
  if (reader.Read(0, 1, buffer, requested) == nullptr)
    GTEST_SKIP() << "this file system has no direct reads";
  const auto check = [&](size_t offset, size_t bytes, size_t expected_request) {
    const uint8_t* const data = reader.Read(offset, bytes, buffer, requested);
    ASSERT_NE(data, nullptr) << offset << " " << bytes;
    EXPECT_EQ(std::memcmp(data, content_.data() + offset, bytes), 0) << offset << " " << bytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, offset % 64);
    EXPECT_EQ(requested, expected_request) << offset << " " << bytes;
  };
  check(0, DirectReader::kAlignment, DirectReader::kAlignment);
  check(1, 1, DirectReader::kAlignment);
  check(DirectReader::kAlignment - 1, 2, 2 * DirectReader::kAlignment);
  check(17, 2 * DirectReader::kAlignment, 3 * DirectReader::kAlignment);
  check(0, kBytes, 4 * DirectReader::kAlignment);
  check(kBytes - 1, 1, DirectReader::kAlignment);
}

TEST_F(DirectReaderTest, WhatTheFileLacksIsNotRead) {
  const core::InputFile file(path_);
  const DirectReader reader(file);
  const device::Buffer buffer(kBufferBytes);
  uint64_t requested = 0;
  EXPECT_EQ(reader.Read(kBytes - 1, 2, buffer, requested), nullptr);
  EXPECT_EQ(reader.Read(5 * DirectReader::kAlignment, 1, buffer, requested), nullptr);
  std::filesystem::resize_file(path_, 5);
  EXPECT_EQ(reader.Read(0, 6, buffer, requested), nullptr);
  EXPECT_EQ(requested, 0u);
}

// A file that was just read is in memory, unless its file system keeps nothing there.
TEST_F(DirectReaderTest, KnowsWhatIsInMemory) {
  const core::InputFile file(path_);
  const DirectReader reader(file);
  const bool dropped = testing::DropFromPageCache(file);
  EXPECT_EQ(reader.ResidenceOf(0, kBytes), dropped ? Residence::kAbsent : Residence::kInMemory);
  char byte = 0;
  file.ReadAt(kBytes / 2, &byte, 1);
  EXPECT_EQ(reader.ResidenceOf(0, kBytes), Residence::kInMemory);
  EXPECT_EQ(reader.ResidenceOf(kBytes, 10), Residence::kUnknown) << "behind the end";
}

// The kernel would tell such a process that everything is in memory.
TEST_F(DirectReaderTest, WhoMayNotWriteTheFileIsNotTold) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  const core::InputFile file(path_);
  ASSERT_EQ(::fchmod(file.descriptor(), 0644), 0);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::seteuid(kNobody), 0);
  const DirectReader reader(file);
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(reader.ResidenceOf(0, kBytes), Residence::kUnknown);
}

TEST_F(DirectReaderTest, AnEmptyFileHasNothingToRead) {
  testing::WriteBytes(path_, "");
  const core::InputFile file(path_);
  const DirectReader reader(file);
  EXPECT_FALSE(reader.offered());
  EXPECT_EQ(reader.ResidenceOf(0, 1), Residence::kUnknown);
}

}  // namespace
}  // namespace autodist::checkpoint
