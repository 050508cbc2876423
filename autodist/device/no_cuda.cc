// The CUDA backend of a build without one.
#include "autodist/device/cuda.h"

namespace autodist::device {

std::vector<AcceleratorInfo> ListCudaDevices() {
  throw core::BadInput("this build of autodist has no CUDA backend (AUTODIST_WITH_CUDA)");
}

std::unique_ptr<Accelerator> OpenCudaDevice(int) {
  ListCudaDevices();
  return nullptr;
}

}  // namespace autodist::device
