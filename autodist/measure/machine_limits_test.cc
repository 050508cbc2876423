#include "autodist/measure/machine_limits.h"

#include <gtest/gtest.h>

#include "autodist/device/thread_pool.h"

namespace autodist::measure {
namespace {

// Rates depend on the machine; what can be asked of them is that they are numbers of a plausible
// machine.
TEST(MachineLimitsTest, RatesArePlausible) {
  device::ThreadPool pool(2);
  device::Stream stream(pool, device::DetectIsa());
  const double read = ReadBytesPerSecond(stream, size_t{1} << 20);
  EXPECT_GT(read, 1e7);
  EXPECT_LT(read, 1e14);
  EXPECT_GT(ReadBytesPerSecond(stream, 1), 0.0);
}

}  // namespace
}  // namespace autodist::measure
