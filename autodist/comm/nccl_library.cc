#include "autodist/comm/nccl_library.h"

#include <dlfcn.h>
#include <nccl.h>

#include <cstring>

#include "autodist/core/check.h"

namespace autodist::comm {
namespace {

static_assert(ncclSuccess == kNcclSuccess && ncclRemoteError == kNcclRemoteError &&
              ncclInProgress == kNcclInProgress && sizeof(ncclUniqueId) == sizeof(NcclId));

constexpr const char* kFile = "libnccl.so.2";
constexpr int kOldestVersion = NCCL_VERSION(2, 28, 0);

ncclDataType_t TypeOf(core::DType dtype) {
  switch (dtype) {
    case core::DType::kF32:
      return ncclFloat32;
    case core::DType::kBF16:
      return ncclBfloat16;
    case core::DType::kF16:
      return ncclFloat16;
    case core::DType::kI32:
      return ncclInt32;
    case core::DType::kI64:
      return ncclInt64;
    case core::DType::kU8:
      return ncclUint8;
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown DType");
}

ncclRedOp_t OpOf(ReduceOp op) { return op == ReduceOp::kSum ? ncclSum : ncclMax; }

// "2.28.9" of 22809.
std::string VersionText(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

// One function of the library.
template <typename Function>
class Symbol {
 public:
  Symbol(void* library, const char* name)
      : function_(reinterpret_cast<Function*>(::dlsym(library, name))) {
    if (function_ == nullptr)
      throw core::BadInput("NCCL cannot be used: {} has no function {}", kFile, name);
  }
  template <typename... Args>
  auto operator()(Args... args) const {
    return function_(args...);
  }

 private:
  Function* function_;
};

class LoadedNccl final : public NcclLibrary {
 public:
  explicit LoadedNccl(void* library) : library_(library) {
    int version = 0;
    if (get_version_(&version) != ncclSuccess || version < kOldestVersion)
      throw core::BadInput("NCCL cannot be used: {} is version {}, must be at least {}", kFile,
                           VersionText(version), VersionText(kOldestVersion));
  }

  std::string Describe(NcclCode code) override {
    const std::string meaning = get_error_string_(static_cast<ncclResult_t>(code));
    const char* const detail = get_last_error_(ncclComm_t{nullptr});
    return detail == nullptr || *detail == '\0' ? meaning : fmt::format("{} ({})", meaning, detail);
  }

  NcclCode UniqueId(NcclId* id) override {
    ncclUniqueId unique = {};
    const ncclResult_t result = get_unique_id_(&unique);
    std::memcpy(id->bytes.data(), &unique, sizeof(unique));
    return result;
  }
  NcclCode Init(NcclHandle* handle, int size, const NcclId& id, int rank,
                const std::string& name) override {
    ncclUniqueId unique;
    std::memcpy(&unique, id.bytes.data(), sizeof(unique));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.commName = name.c_str();  // the library copies it
    ncclComm_t comm = nullptr;
    const ncclResult_t result = init_(&comm, size, unique, rank, &config);
    *handle = comm;
    return result;
  }
  NcclCode AsyncError(NcclHandle handle) override {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = get_async_error_(Comm(handle), &state);
    return result == ncclSuccess ? state : result;
  }
  NcclCode Finalize(NcclHandle handle) override { return finalize_(Comm(handle)); }
  NcclCode Destroy(NcclHandle handle) override { return destroy_(Comm(handle)); }
  NcclCode Abort(NcclHandle handle) override { return abort_(Comm(handle)); }

  NcclCode GroupStart() override { return group_start_(); }
  NcclCode GroupEnd() override { return group_end_(); }
  NcclCode AllReduce(const void* in, void* out, size_t count, core::DType dtype, ReduceOp op,
                     NcclHandle handle, void* queue) override {
    return all_reduce_(in, out, count, TypeOf(dtype), OpOf(op), Comm(handle), Stream(queue));
  }
  NcclCode AllGather(const void* in, void* out, size_t count, core::DType dtype, NcclHandle handle,
                     void* queue) override {
    return all_gather_(in, out, count, TypeOf(dtype), Comm(handle), Stream(queue));
  }
  NcclCode ReduceScatter(const void* in, void* out, size_t count, core::DType dtype, ReduceOp op,
                         NcclHandle handle, void* queue) override {
    return reduce_scatter_(in, out, count, TypeOf(dtype), OpOf(op), Comm(handle), Stream(queue));
  }
  NcclCode Broadcast(const void* in, void* out, size_t count, core::DType dtype, int root,
                     NcclHandle handle, void* queue) override {
    return broadcast_(in, out, count, TypeOf(dtype), root, Comm(handle), Stream(queue));
  }
  NcclCode Send(const void* data, size_t count, core::DType dtype, int to, NcclHandle handle,
                void* queue) override {
    return send_(data, count, TypeOf(dtype), to, Comm(handle), Stream(queue));
  }
  NcclCode Receive(void* data, size_t count, core::DType dtype, int from, NcclHandle handle,
                   void* queue) override {
    return receive_(data, count, TypeOf(dtype), from, Comm(handle), Stream(queue));
  }

 private:
  static ncclComm_t Comm(NcclHandle handle) { return static_cast<ncclComm_t>(handle); }
  static cudaStream_t Stream(void* queue) { return static_cast<cudaStream_t>(queue); }

  void* const library_;
  const Symbol<decltype(ncclGetVersion)> get_version_{library_, "ncclGetVersion"};
  const Symbol<decltype(ncclGetErrorString)> get_error_string_{library_, "ncclGetErrorString"};
  const Symbol<decltype(ncclGetLastError)> get_last_error_{library_, "ncclGetLastError"};
  const Symbol<decltype(ncclGetUniqueId)> get_unique_id_{library_, "ncclGetUniqueId"};
  const Symbol<decltype(ncclCommInitRankConfig)> init_{library_, "ncclCommInitRankConfig"};
  const Symbol<decltype(ncclCommGetAsyncError)> get_async_error_{library_, "ncclCommGetAsyncError"};
  const Symbol<decltype(ncclCommFinalize)> finalize_{library_, "ncclCommFinalize"};
  const Symbol<decltype(ncclCommDestroy)> destroy_{library_, "ncclCommDestroy"};
  const Symbol<decltype(ncclCommAbort)> abort_{library_, "ncclCommAbort"};
  const Symbol<decltype(ncclGroupStart)> group_start_{library_, "ncclGroupStart"};
  const Symbol<decltype(ncclGroupEnd)> group_end_{library_, "ncclGroupEnd"};
  const Symbol<decltype(ncclAllReduce)> all_reduce_{library_, "ncclAllReduce"};
  const Symbol<decltype(ncclAllGather)> all_gather_{library_, "ncclAllGather"};
  const Symbol<decltype(ncclReduceScatter)> reduce_scatter_{library_, "ncclReduceScatter"};
  const Symbol<decltype(ncclBroadcast)> broadcast_{library_, "ncclBroadcast"};
  const Symbol<decltype(ncclSend)> send_{library_, "ncclSend"};
  const Symbol<decltype(ncclRecv)> receive_{library_, "ncclRecv"};
};

}  // namespace

std::shared_ptr<NcclLibrary> LoadNccl() {
  // Never closed: the library has threads of its own.
  void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw core::BadInput("NCCL cannot be used: {}", ::dlerror());
  return std::make_shared<LoadedNccl>(library);
}

}  // namespace autodist::comm
