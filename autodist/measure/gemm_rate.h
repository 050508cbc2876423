// The rate of matrix products that a prefill is compared with.
#ifndef AUTODIST_MEASURE_GEMM_RATE_H_
#define AUTODIST_MEASURE_GEMM_RATE_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "autodist/core/dtype.h"
#include "autodist/device/stream.h"
#include "autodist/measure/gemm_slice.h"

namespace autodist::measure {

// y [rows, n] = x [rows, k] * w, `count` times.
struct GemmShape {
  int64_t n = 0;
  int64_t k = 0;
  int64_t count = 1;
};

// Times the given products over the stream's threads, N split among them: by oneDNN
// (single-threaded on each thread's slice, weights packed before) and by our own kernel. The faster
// one is the rate: oneDNN may be absent, lack a product, or not be able to use this CPU's tiles.
// Keeps the operands between measurements. Thread-compatible.
class GemmRate {
 public:
  // `stream` must outlive this. REQUIRES rows >= 1 and at least one shape, all sizes >= 1.
  GemmRate(device::Stream& stream, core::DType dtype, int64_t rows, std::vector<GemmShape> shapes);
  ~GemmRate();

  // Operations of all products over the sum of their best times; about 60 ms per shape.
  double FlopsPerSecond();
  std::string_view engine() const { return engine_; }  // of the last rate: "oneDNN" or "autodist"

 private:
  class Product;

  device::Stream& stream_;
  std::string_view engine_ = "autodist";
  std::vector<std::unique_ptr<Product>> products_;
};

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_GEMM_RATE_H_
