// Profiler traces as a launcher would write them, with known answers.
#ifndef AUTODIST_TUNE_TESTING_SYNTHETIC_TRACE_H_
#define AUTODIST_TUNE_TESTING_SYNTHETIC_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/tune/overlap_case.h"

namespace autodist::tune {

// A Kineto trace of one rank: for every sample one range named after the site ("fc1_dgrad", on the
// thread on which it would be launched), and in it the kernels that the setting's method launches:
// products on one stream; NCCL, userbuffers or copies between devices on another; the signals and
// sums that go with them. Within a nanosecond, the range's device time is wall_s, that of its
// products gemm_s, and that of its communication comm_s.
// REQUIRES wall_s >= gemm_s > 0 and wall_s >= comm_s >= 0, the sum of both at least wall_s less the
// 1 us in which nothing runs.
std::string SyntheticTrace(const OverlapCase& overlap_case, int rank,
                           const std::vector<CaseSample>& samples);

// One kernel or copy beside a product.
struct TraceKernel {
  std::string name;
  const char* category = "kernel";  // or "gpu_memcpy", "gpu_memset"
  int threads = 256;                // of its only block; 1: a signal
};

// One range "fc1_fprop" of 100 us: a product on one stream over [0, 100) us, or [0, 50) when not
// `covered`, and `kernel` on another over [60, 100).
std::string KernelTrace(const TraceKernel& kernel, bool covered);

}  // namespace autodist::tune

#endif  // AUTODIST_TUNE_TESTING_SYNTHETIC_TRACE_H_
