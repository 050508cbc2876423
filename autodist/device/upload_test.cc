#include "autodist/device/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "autodist/device/testing/fake_accelerator.h"

namespace autodist::device {
namespace {

using testing::FakeAccelerator;

constexpr size_t kPiece = 64;

std::byte ValueAt(size_t index) { return static_cast<std::byte>(index * 7 + index / 256); }

class UploadTest : public ::testing::Test {
 protected:
  void Fill(std::byte* at, size_t offset, size_t count) {
    for (size_t i = 0; i < count; ++i) at[i] = ValueAt(offset + i);
  }
  // What is in device memory once all is done.
  std::vector<std::byte> Read(const DeviceMemory& memory) {
    const DeviceMemory back = fake_.Allocate(MemoryKind::kPinned, "back", memory.bytes());
    queue_->Copy(back.data(), memory.data(), memory.bytes());
    queue_->Synchronize();
    return {back.as<std::byte>(), back.as<std::byte>() + back.bytes()};
  }

  FakeAccelerator fake_;
  std::unique_ptr<Queue> queue_ = fake_.CreateQueue();
};

// The fake copies as late as it may: a buffer that is filled again too early would show.
TEST_F(UploadTest, EveryByteArrives) {
  Upload upload(fake_, *queue_, kPiece);
  for (const size_t bytes :
       {size_t{0}, size_t{1}, kPiece - 1, kPiece, kPiece + 1, 9 * kPiece + 5}) {
    const DeviceMemory memory = fake_.Allocate(MemoryKind::kDevice, "weights", bytes);
    upload.Write(memory.data(), bytes, [&](auto... piece) { Fill(piece...); });
    const std::vector<std::byte> got = Read(memory);
    ASSERT_EQ(got.size(), bytes);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(got[i], ValueAt(i)) << i << " of " << bytes;
  }
}

TEST_F(UploadTest, OnePieceIsFilledWhileTheOneBeforeItIsOnItsWay) {
  const DeviceMemory memory = fake_.Allocate(MemoryKind::kDevice, "weights", 3 * kPiece);
  Upload upload(fake_, *queue_, kPiece);
  // The fake's device memory can be looked at: only a piece that the next needs has been copied.
  std::vector<bool> before_copied;
  upload.Write(memory.data(), memory.bytes(), [&](std::byte* at, size_t offset, size_t count) {
    if (offset > 0)
      before_copied.push_back(memory.as<std::byte>()[offset - 1] == ValueAt(offset - 1));
    Fill(at, offset, count);
  });
  EXPECT_FALSE(before_copied[0]);
}

TEST_F(UploadTest, AFailedReadIsPassedOnAndTheNextUploadWorks) {
  const DeviceMemory memory = fake_.Allocate(MemoryKind::kDevice, "weights", 5 * kPiece);
  Upload upload(fake_, *queue_, kPiece);
  EXPECT_THROW(upload.Write(memory.data(), memory.bytes(),
                            [](std::byte*, size_t offset, size_t) {
                              if (offset == 3 * kPiece)
                                throw core::RuntimeFailure("model.safetensors: read error");
                            }),
               core::Error);
  upload.Write(memory.data(), memory.bytes(), [&](auto... piece) { Fill(piece...); });
  EXPECT_EQ(Read(memory)[4 * kPiece], ValueAt(4 * kPiece));
}

TEST_F(UploadTest, ALostDeviceEndsIt) {
  const DeviceMemory memory = fake_.Allocate(MemoryKind::kDevice, "weights", 5 * kPiece);
  Upload upload(fake_, *queue_, kPiece);
  EXPECT_THROW(upload.Write(memory.data(), memory.bytes(),
                            [&](std::byte*, size_t offset, size_t) {
                              if (offset == 2 * kPiece) fake_.Lose("it fell off the bus");
                            }),
               DeviceLost);
}

TEST_F(UploadTest, CopiesUnderWayEndBeforeTheirBuffersGo) {
  const DeviceMemory memory = fake_.Allocate(MemoryKind::kDevice, "weights", kPiece);
  {
    Upload upload(fake_, *queue_, kPiece);
    upload.Write(memory.data(), kPiece, [&](auto... piece) { Fill(piece...); });
  }
  EXPECT_EQ(Read(memory)[kPiece - 1], ValueAt(kPiece - 1));
}

}  // namespace
}  // namespace autodist::device
