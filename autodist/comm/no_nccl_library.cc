// NCCL in a build without it.
#include "autodist/comm/nccl_library.h"

namespace autodist::comm {

std::shared_ptr<NcclLibrary> LoadNccl() {
  throw core::BadInput("this build of autodist has no NCCL (AUTODIST_WITH_CUDA)");
}

}  // namespace autodist::comm
