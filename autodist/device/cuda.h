// The GPUs of this host, through the CUDA runtime. Present in every build; one without
// AUTODIST_WITH_CUDA has none (no_cuda.cc).
//
// Compiled, linked and tested for its refusals; no call that needs a GPU has been run on one yet.
#ifndef AUTODIST_DEVICE_CUDA_H_
#define AUTODIST_DEVICE_CUDA_H_

#include <memory>
#include <vector>

#include "autodist/device/accelerator.h"

namespace autodist::device {

// Those that this process may use (CUDA_VISIBLE_DEVICES), in the driver's order; at least one.
// Takes no memory on them. Throws core::Error (bad input) saying what is missing: the backend, the
// driver, a driver as new as the runtime, or a GPU.
std::vector<AcceleratorInfo> ListCudaDevices();

// Throws core::Error: as above (bad input), or when the device cannot be used (runtime). REQUIRES
// that index is one of those listed.
std::unique_ptr<Accelerator> OpenCudaDevice(int index);

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_CUDA_H_
