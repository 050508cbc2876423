#include "autodist/device/buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::device {
namespace {

TEST(BufferTest, MemoryIsZeroedAndAligned) {
  for (const size_t bytes : {size_t{1}, size_t{65}, size_t{4096}, (size_t{2} << 20) + 3}) {
    const Buffer buffer(bytes);
    ASSERT_EQ(buffer.bytes(), bytes);
    const size_t alignment = bytes < (size_t{2} << 20) ? 64 : size_t{2} << 20;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % alignment, 0u);
    const auto* const begin = buffer.as<uint8_t>();
    EXPECT_TRUE(std::all_of(begin, begin + bytes, [](uint8_t byte) { return byte == 0; }));
    std::fill_n(buffer.as<uint8_t>(), bytes, uint8_t{0xff});
  }
}

TEST(BufferTest, AnEmptyBufferHoldsNothing) {
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_EQ(Buffer().bytes(), 0u);
}

TEST(BufferTest, MovingHandsTheMemoryOver) {
  Buffer from(100);
  void* const data = from.data();
  Buffer to(std::move(from));
  EXPECT_EQ(to.data(), data);
  Buffer other(size_t{3} << 20);
  other = std::move(to);
  EXPECT_EQ(other.data(), data);
  EXPECT_EQ(other.bytes(), 100u);
}

TEST(BufferTest, ImpossibleSizesAreAnErrorThatNamesTheBytes) {
  try {
    Buffer(size_t{1} << 62);
    FAIL() << "4 EiB were granted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
    EXPECT_THAT(error.what(), testing::HasSubstr("4611686018427387904 bytes"));
  }
}

}  // namespace
}  // namespace autodist::device
