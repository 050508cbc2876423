// The functions of NCCL that we call, as an interface: the library itself, loaded when it is needed
// (nccl_library.cc), or a fake (testing/fake_nccl.h).
//
// Arguments, results and threads are those of the C functions, with our dtypes. Nothing throws but
// LoadNccl(). Pointers are device memory; `queue` is Queue::native().
#ifndef AUTODIST_COMM_NCCL_LIBRARY_H_
#define AUTODIST_COMM_NCCL_LIBRARY_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "autodist/comm/communicator.h"
#include "autodist/core/dtype.h"

namespace autodist::comm {

using NcclHandle = void*;  // one rank's communicator
using NcclCode = int;      // the library's results; those that mean something to us:
inline constexpr NcclCode kNcclSuccess = 0;
inline constexpr NcclCode kNcclRemoteError = 6;
inline constexpr NcclCode kNcclInProgress = 7;  // ask AsyncError() until it says otherwise

struct NcclId {
  std::array<char, 128> bytes = {};
};

class NcclLibrary {
 public:
  virtual ~NcclLibrary() = default;

  // "unhandled cuda error (...)": the code's meaning, and what the library said last.
  virtual std::string Describe(NcclCode code) = 0;

  virtual NcclCode UniqueId(NcclId* id) = 0;
  // Of a communicator that never blocks: every call on it may be in progress when it returns.
  // `name` is for the library's own log. *handle may stay null when this fails.
  virtual NcclCode Init(NcclHandle* handle, int size, const NcclId& id, int rank,
                        const std::string& name) = 0;
  virtual NcclCode AsyncError(NcclHandle handle) = 0;
  virtual NcclCode Finalize(NcclHandle handle) = 0;
  virtual NcclCode Destroy(NcclHandle handle) = 0;
  virtual NcclCode Abort(NcclHandle handle) = 0;

  virtual NcclCode GroupStart() = 0;
  virtual NcclCode GroupEnd() = 0;
  // `count`: elements that each rank gives, but for ReduceScatter: that each rank gets.
  virtual NcclCode AllReduce(const void* in, void* out, size_t count, core::DType dtype,
                             ReduceOp op, NcclHandle handle, void* queue) = 0;
  virtual NcclCode AllGather(const void* in, void* out, size_t count, core::DType dtype,
                             NcclHandle handle, void* queue) = 0;
  virtual NcclCode ReduceScatter(const void* in, void* out, size_t count, core::DType dtype,
                                 ReduceOp op, NcclHandle handle, void* queue) = 0;
  virtual NcclCode Broadcast(const void* in, void* out, size_t count, core::DType dtype, int root,
                             NcclHandle handle, void* queue) = 0;
  virtual NcclCode Send(const void* data, size_t count, core::DType dtype, int to,
                        NcclHandle handle, void* queue) = 0;
  virtual NcclCode Receive(void* data, size_t count, core::DType dtype, int from, NcclHandle handle,
                           void* queue) = 0;
};

// libnccl.so.2, found as the dynamic linker finds libraries; it stays loaded. Throws core::Error
// (bad input) when this build has no CUDA backend, or the library is missing or older than 2.28.
std::shared_ptr<NcclLibrary> LoadNccl();

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_NCCL_LIBRARY_H_
