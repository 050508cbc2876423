// One thread's part of a matrix product by oneDNN: what a tuned library reaches on this CPU.
//
// gemm_slice.cc when oneDNN was found at build time, else gemm_slice_absent.cc.
#ifndef AUTODIST_MEASURE_GEMM_SLICE_H_
#define AUTODIST_MEASURE_GEMM_SLICE_H_

#include <cstdint>
#include <memory>

#include "autodist/core/dtype.h"
#include "autodist/device/topology.h"

namespace autodist::measure {

// y [m, n] = x [m, k] * w [k, n], w in the layout that the library likes best; y in f32.
class GemmSlice {
 public:
  virtual ~GemmSlice() = default;
  // Computes it once, on the calling thread alone. One caller at a time.
  virtual void Run() = 0;
};

// Null when the library is absent or has no such product for this CPU (bf16 without bf16
// instructions). The first call of the process decides which instruction set the library uses: at
// most `isa`, and no AMX where CPUID hides how its tiles are made. dtype: f32 or bf16.
std::unique_ptr<GemmSlice> MakeGemmSlice(core::DType dtype, device::Isa isa, int64_t m, int64_t n,
                                         int64_t k);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_GEMM_SLICE_H_
