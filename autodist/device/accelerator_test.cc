#include "autodist/device/accelerator.h"

#include <thread>

#include "autodist/device/accelerator_conformance.h"
#include "autodist/device/cuda.h"
#include "autodist/device/testing/fake_accelerator.h"

namespace autodist::device {
namespace {

using testing::FakeAccelerator;

INSTANTIATE_TEST_SUITE_P(Fake, AcceleratorConformanceTest,
                         ::testing::Values(AcceleratorCase{
                             "fake", [] { return std::make_unique<FakeAccelerator>(); }}));

// Skipped with its reason where there is no GPU, or no CUDA in this build.
INSTANTIATE_TEST_SUITE_P(Cuda, AcceleratorConformanceTest,
                         ::testing::Values(AcceleratorCase{"cuda", [] {
                                                             ListCudaDevices();
                                                             return OpenCudaDevice(0);
                                                           }}));

TEST(CudaTest, WithoutADeviceOneSentenceSaysWhatIsMissing) {
  try {
    EXPECT_FALSE(ListCudaDevices().empty());
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), ::testing::MatchesRegex("[^.\n]+(\\.[0-9so]+[^.\n]*)*"));
    EXPECT_THAT(error.what(), ::testing::AnyOf(::testing::HasSubstr("CUDA"),
                                               ::testing::HasSubstr("NVIDIA driver")));
  }
}

TEST(FakeAcceleratorTest, WorkWaitsUntilSomebodyWaitsForIt) {
  FakeAccelerator fake;
  const auto queue = fake.CreateQueue();
  const auto event = fake.CreateEvent();
  int runs = 0;
  FakeAccelerator::Launch(*queue, [&] { return ++runs > 0; });
  queue->Record(*event);
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(event->Reached());
  EXPECT_EQ(runs, 1);
}

TEST(FakeAcceleratorTest, AnEventIsNotReachedWhileWorkBeforeItGoesOn) {
  FakeAccelerator fake;
  const auto queue = fake.CreateQueue();
  const auto event = fake.CreateEvent();
  bool done = false;
  FakeAccelerator::Launch(*queue, [&] { return done; });
  queue->Record(*event);
  EXPECT_FALSE(event->Reached());
  done = true;
  EXPECT_TRUE(event->Reached());
}

TEST(FakeAcceleratorTest, ALostDeviceEndsWaitsAndAnswersEveryCallAlike) {
  FakeAccelerator fake;
  const auto queue = fake.CreateQueue();
  const auto event = fake.CreateEvent();
  const DeviceMemory memory = fake.Allocate(MemoryKind::kDevice, "weights", 64);
  FakeAccelerator::Launch(*queue, [] { return false; });  // hangs
  std::thread fault([&] { fake.Lose("it fell off the bus"); });
  EXPECT_THROW(queue->Synchronize(), DeviceLost);
  fault.join();
  EXPECT_THROW(event->Reached(), DeviceLost);
  EXPECT_THROW(queue->Clear(memory.data(), 64), DeviceLost);
  EXPECT_THROW(queue->Capture([] {}), DeviceLost);
  EXPECT_THROW(fake.Allocate(MemoryKind::kDevice, "KV cache", 1), DeviceLost);
  try {
    fake.memory();
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_STREQ(error.what(), "fake:0 was lost: it fell off the bus");
    EXPECT_EQ(error.exit_code(), 1);
  }
}

TEST(FakeAcceleratorTest, GraphsTakeMemoryWhileTheyLive) {
  FakeAccelerator fake({.memory_bytes = 1000, .graph_bytes = 600});
  const auto queue = fake.CreateQueue();
  auto graph = queue->Capture([] {});
  EXPECT_EQ(fake.memory().free_bytes, 400u);
  EXPECT_THROW(queue->Capture([] {}), core::Error);
  graph.reset();
  EXPECT_EQ(fake.memory().free_bytes, 1000u);
  EXPECT_EQ(fake.live_graphs(), 0);
}

TEST(FakeAcceleratorDeathTest, CopiesOfMemoryThatIsNotItsOwnAreBugs) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        FakeAccelerator fake;
        const auto queue = fake.CreateQueue();
        int host = 0;
        const DeviceMemory memory = fake.Allocate(MemoryKind::kDevice, "a", sizeof(host));
        queue->Copy(memory.data(), &host, sizeof(host));
        queue->Synchronize();
      },
      "CHECK failed");
}

}  // namespace
}  // namespace autodist::device
