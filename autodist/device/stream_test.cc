#include "autodist/device/stream.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace autodist::device {
namespace {

TEST(StreamTest, ScratchIsPerWorkerAndIsKeptUntilMoreIsAsked) {
  ThreadPool pool(2);
  Stream stream(pool, Isa::kAvx2);
  void* parts[2];
  pool.Run([&](int worker) {
    parts[worker] = stream.Scratch(worker, 1000);
    std::memset(parts[worker], worker, 1000);
  });
  EXPECT_NE(parts[0], parts[1]);
  EXPECT_EQ(stream.Scratch(0, 10), parts[0]);
  EXPECT_EQ(static_cast<uint8_t*>(stream.Scratch(1, 1000))[999], 1);
  std::memset(stream.Scratch(0, 100000), 0, 100000);
}

}  // namespace
}  // namespace autodist::device
