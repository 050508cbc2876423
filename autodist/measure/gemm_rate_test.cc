#include "autodist/measure/gemm_rate.h"

#include <gtest/gtest.h>

#include "autodist/device/thread_pool.h"

namespace autodist::measure {
namespace {

// Rates depend on the machine; what can be asked of them is that they are those of a plausible one,
// for sizes that no slice divides and with more threads than blocks of outputs too.
TEST(GemmRateTest, RatesArePlausible) {
  for (const int threads : {1, 3}) {
    device::ThreadPool pool(threads);
    device::Stream stream(pool, device::DetectIsa());
    for (const core::DType dtype : {core::DType::kF32, core::DType::kBF16}) {
      GemmRate rate(stream, dtype, 33, {{.n = 130, .k = 65, .count = 2}, {.n = 5, .k = 7}});
      const double flops_per_s = rate.FlopsPerSecond();
      EXPECT_GT(flops_per_s, 1e6);
      EXPECT_LT(flops_per_s, 1e16);
      EXPECT_TRUE(rate.engine() == "oneDNN" || rate.engine() == "autodist");
    }
  }
}

}  // namespace
}  // namespace autodist::measure
