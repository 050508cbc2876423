// The suite that every accelerator passes: the contract of accelerator.h as tests. Included by one
// test source per implementation, which instantiates it. Copies are the only work that all have, so
// copies are what is queued and captured.
#ifndef AUTODIST_DEVICE_ACCELERATOR_CONFORMANCE_H_
#define AUTODIST_DEVICE_ACCELERATOR_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autodist/device/accelerator.h"

namespace autodist::device {

struct AcceleratorCase {
  std::string name;
  // Throws core::Error when this host has none: the test is then skipped, with that reason.
  std::function<std::unique_ptr<Accelerator>()> open;
};

class AcceleratorConformanceTest : public ::testing::TestWithParam<AcceleratorCase> {
 protected:
  static constexpr size_t kCount = 1003;  // odd, as addresses of rows are

  void SetUp() override {
    try {
      accelerator_ = GetParam().open();
    } catch (const core::Error& error) {
      GTEST_SKIP() << error.what();
    }
    queue_ = accelerator_->CreateQueue();
    in_ = accelerator_->Allocate(MemoryKind::kPinned, "input", kBytes);
    out_ = accelerator_->Allocate(MemoryKind::kPinned, "output", kBytes);
    a_ = accelerator_->Allocate(MemoryKind::kDevice, "a", kBytes);
    b_ = accelerator_->Allocate(MemoryKind::kDevice, "b", kBytes);
  }

  // Different for every index and every `first`.
  void FillInput(int first) {
    for (size_t i = 0; i < kCount; ++i) in_.as<int>()[i] = first + static_cast<int>(i);
  }
  void ExpectOutput(int first) {
    std::vector<int> want(kCount);
    for (size_t i = 0; i < kCount; ++i) want[i] = first + static_cast<int>(i);
    EXPECT_EQ(std::vector<int>(out_.as<int>(), out_.as<int>() + kCount), want);
  }
  std::string ErrorOf(const std::function<void()>& body) {
    try {
      body();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
      return error.what();
    }
    ADD_FAILURE() << "no core::Error was thrown";
    return "";
  }

  static constexpr size_t kBytes = kCount * sizeof(int);
  std::unique_ptr<Accelerator> accelerator_;
  std::unique_ptr<Queue> queue_;
  DeviceMemory in_, out_, a_, b_;
};

TEST_P(AcceleratorConformanceTest, WorkIsDoneInOrderAndSeenAfterSynchronize) {
  FillInput(7);
  queue_->Copy(a_.data(), in_.data(), kBytes);
  queue_->Copy(b_.data(), a_.data(), kBytes);
  queue_->Clear(a_.data(), kBytes);
  queue_->Copy(out_.data(), b_.data(), kBytes);
  queue_->Copy(nullptr, nullptr, 0);
  queue_->Synchronize();
  ExpectOutput(7);
  queue_->Copy(out_.data(), a_.data(), kBytes);
  queue_->Synchronize();
  EXPECT_EQ(std::vector<int>(out_.as<int>(), out_.as<int>() + kCount), std::vector<int>(kCount));
}

TEST_P(AcceleratorConformanceTest, AnEventOrdersTwoQueues) {
  const std::unique_ptr<Queue> other = accelerator_->CreateQueue();
  const std::unique_ptr<Event> event = accelerator_->CreateEvent();
  EXPECT_TRUE(event->Reached());  // never recorded
  for (int turn = 0; turn < 5; ++turn) {
    FillInput(turn * 1000);
    queue_->Copy(a_.data(), in_.data(), kBytes);
    queue_->Record(*event);
    other->WaitFor(*event);
    other->Copy(out_.data(), a_.data(), kBytes);
    other->Synchronize();
    EXPECT_TRUE(event->Reached());
    ExpectOutput(turn * 1000);
  }
}

TEST_P(AcceleratorConformanceTest, AReplayWorksOnWhatTheMemoryHoldsThen) {
  FillInput(1);
  queue_->Copy(a_.data(), in_.data(), kBytes);
  queue_->Copy(out_.data(), a_.data(), kBytes);
  queue_->Synchronize();
  EXPECT_FALSE(queue_->capturing());
  FillInput(50);
  const std::unique_ptr<Graph> graph = queue_->Capture([&] {
    EXPECT_TRUE(queue_->capturing());
    queue_->Copy(a_.data(), in_.data(), kBytes);
    queue_->Copy(out_.data(), a_.data(), kBytes);
  });
  EXPECT_FALSE(queue_->capturing());
  queue_->Synchronize();
  ExpectOutput(1);  // recorded, not run
  for (const int first : {50, 4000, -3}) {
    FillInput(first);
    queue_->Launch(*graph);
    queue_->Synchronize();
    ExpectOutput(first);
  }
}

TEST_P(AcceleratorConformanceTest, ACaptureThatFailsLeavesTheQueueAsItWas) {
  EXPECT_EQ(ErrorOf([&] {
              queue_->Capture([&] {
                queue_->Clear(a_.data(), kBytes);
                throw core::RuntimeFailure("this shape has no kernel");
              });
            }),
            "this shape has no kernel");
  EXPECT_THAT(ErrorOf([&] { queue_->Capture([&] { queue_->Synchronize(); }); }),
              ::testing::HasSubstr(accelerator_->info().name));
  EXPECT_FALSE(queue_->capturing());
  FillInput(12);
  queue_->Copy(a_.data(), in_.data(), kBytes);
  const std::unique_ptr<Graph> graph =
      queue_->Capture([&] { queue_->Copy(out_.data(), a_.data(), kBytes); });
  queue_->Launch(*graph);
  queue_->Synchronize();
  ExpectOutput(12);
}

TEST_P(AcceleratorConformanceTest, OutOfMemoryNamesThePartAndWhatTookTheRest) {
  const MemoryState before = accelerator_->memory();
  EXPECT_LE(before.free_bytes, before.total_bytes);
  const DeviceMemory weights =
      accelerator_->Allocate(MemoryKind::kDevice, "weights", before.free_bytes / 2);
  EXPECT_LE(accelerator_->memory().free_bytes, before.free_bytes - before.free_bytes / 2);
  EXPECT_THAT(
      ErrorOf([&] { accelerator_->Allocate(MemoryKind::kDevice, "KV cache", before.total_bytes); }),
      ::testing::AllOf(
          ::testing::StartsWith("out of memory on " + accelerator_->info().name +
                                ": the KV cache takes "),
          ::testing::HasSubstr(" are free; taken: a: 0.0 MiB, b: 0.0 MiB, weights: ")));
}

TEST_P(AcceleratorConformanceTest, MemoryThatWasGivenBackIsFree) {
  const size_t most = accelerator_->memory().free_bytes / 4 * 3;
  for (int turn = 0; turn < 3; ++turn) {
    DeviceMemory memory = accelerator_->Allocate(MemoryKind::kDevice, "turn", most);
    EXPECT_EQ(memory.bytes(), most);
    DeviceMemory moved = std::move(memory);
    EXPECT_EQ(memory.data(), nullptr);
    EXPECT_NE(moved.data(), nullptr);
  }
  EXPECT_EQ(accelerator_->Allocate(MemoryKind::kDevice, "nothing", 0).data(), nullptr);
}

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_ACCELERATOR_CONFORMANCE_H_
