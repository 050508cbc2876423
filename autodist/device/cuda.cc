#include "autodist/device/cuda.h"

#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>

#include "autodist/core/check.h"

namespace autodist::device {
namespace {

// "13.0" of 13000, as the runtime and the driver count.
std::string VersionText(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Why cudaGetDeviceCount() failed or found nothing.
std::string WhyNoDevice(cudaError_t error) {
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
      return "this host has no NVIDIA driver (libcuda.so.1)";
    return fmt::format("the NVIDIA driver supports CUDA {}, must be at least {}",
                       VersionText(driver), VersionText(CUDART_VERSION));
  }
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string mask =
      visible == nullptr ? "" : fmt::format(" (CUDA_VISIBLE_DEVICES is \"{}\")", visible);
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    return fmt::format("the NVIDIA driver sees no GPU{}", mask);
  return fmt::format("the CUDA runtime cannot start{}: {}", mask, cudaGetErrorString(error));
}

// Errors after which the context is gone: the runtime reports them from every later call, too.
bool IsFatal(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

// Throws unless `error` is success. `what` was tried: "copying".
void Check(cudaError_t error, const AcceleratorInfo& info, std::string_view what) {
  if (error == cudaSuccess) return;
  const std::string reason =
      fmt::format("{} failed: {} ({})", what, cudaGetErrorString(error), cudaGetErrorName(error));
  if (IsFatal(error)) throw DeviceLost(info, reason);
  cudaGetLastError();  // the runtime keeps it for the next one to ask, who did not cause it
  throw core::RuntimeFailure("{}: {}", info.name, reason);
}

class CudaEvent final : public Event {
 public:
  explicit CudaEvent(const AcceleratorInfo& info) : info_(info) {
    Check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), info_, "creating an event");
  }
  ~CudaEvent() override { cudaEventDestroy(event_); }

  bool Reached() override {
    const cudaError_t error = cudaEventQuery(event_);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    Check(error, info_, "waiting for an event");
    return true;
  }
  cudaEvent_t native() const { return event_; }

 private:
  const AcceleratorInfo& info_;
  cudaEvent_t event_ = nullptr;
};

class CudaGraph final : public Graph {
 public:
  // Takes `graph`.
  CudaGraph(cudaGraph_t graph, cudaStream_t stream, const AcceleratorInfo& info) {
    const cudaError_t error = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    Check(error, info, "instantiating a graph");
    // Now rather than at the first launch: what a graph takes is known once it is on the device.
    const cudaError_t uploaded = cudaGraphUpload(executable_, stream);
    if (uploaded != cudaSuccess) cudaGraphExecDestroy(executable_);
    Check(uploaded, info, "uploading a graph");
  }
  ~CudaGraph() override { cudaGraphExecDestroy(executable_); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  cudaGraphExec_t native() const { return executable_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

class CudaQueue final : public Queue {
 public:
  explicit CudaQueue(const AcceleratorInfo& info) : info_(info) {
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), info_, "creating a stream");
  }
  ~CudaQueue() override { cudaStreamDestroy(stream_); }

  void* native() const override { return stream_; }

  void Copy(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), info_, "copying");
  }
  void Clear(void* data, size_t bytes) override {
    if (bytes == 0) return;
    Check(cudaMemsetAsync(data, 0, bytes, stream_), info_, "clearing memory");
  }
  void Record(Event& event) override {
    Check(cudaEventRecord(static_cast<CudaEvent&>(event).native(), stream_), info_,
          "recording an event");
  }
  void WaitFor(Event& event) override {
    Check(cudaStreamWaitEvent(stream_, static_cast<CudaEvent&>(event).native(), 0), info_,
          "ordering two streams");
  }
  void Synchronize() override {
    Check(cudaStreamSynchronize(stream_), info_, "waiting for a stream");
  }
  bool capturing() const override { return capturing_; }
  void Launch(const Graph& graph) override {
    Check(cudaGraphLaunch(static_cast<const CudaGraph&>(graph).native(), stream_), info_,
          "launching a graph");
  }

 protected:
  void BeginCapture() override {
    AUTODIST_CHECK(!capturing_);
    // Of this thread alone: other ranks, and the watch over collectives, are threads of this
    // process and go on meanwhile.
    Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), info_,
          "beginning a capture");
    capturing_ = true;
  }
  std::unique_ptr<Graph> EndCapture() override {
    capturing_ = false;
    cudaGraph_t graph = nullptr;
    Check(cudaStreamEndCapture(stream_, &graph), info_, "capturing a graph");
    return std::make_unique<CudaGraph>(graph, stream_, info_);
  }

 private:
  const AcceleratorInfo& info_;
  cudaStream_t stream_ = nullptr;
  bool capturing_ = false;
};

AcceleratorInfo InfoOf(int index) {
  AcceleratorInfo info{.index = index, .name = fmt::format("cuda:{}", index)};
  cudaDeviceProp properties;
  Check(cudaGetDeviceProperties(&properties, index), info, "asking for its properties");
  info.name = fmt::format("cuda:{} ({})", index, properties.name);
  static_assert(sizeof(properties.uuid.bytes) == sizeof(info.id));
  std::memcpy(info.id.data(), properties.uuid.bytes, sizeof(info.id));
  return info;
}

class CudaAccelerator final : public Accelerator {
 public:
  explicit CudaAccelerator(int index) : info_(InfoOf(index)) {
    BindThread();
    Check(cudaFree(nullptr), info_, "creating its context");  // the runtime would do so later
  }

  const AcceleratorInfo& info() const override { return info_; }
  MemoryState memory() override {
    BindThread();
    size_t free_bytes = 0, total_bytes = 0;
    Check(cudaMemGetInfo(&free_bytes, &total_bytes), info_, "asking for its free memory");
    return {free_bytes, total_bytes};
  }
  void BindThread() override { Check(cudaSetDevice(info_.index), info_, "selecting it"); }
  std::unique_ptr<Queue> CreateQueue() override {
    BindThread();
    return std::make_unique<CudaQueue>(info_);
  }
  std::unique_ptr<Event> CreateEvent() override {
    BindThread();
    return std::make_unique<CudaEvent>(info_);
  }

 protected:
  void* DoAllocate(MemoryKind kind, size_t bytes) override {
    BindThread();
    void* data = nullptr;
    const cudaError_t error = kind == MemoryKind::kDevice
                                  ? cudaMalloc(&data, bytes)
                                  : cudaHostAlloc(&data, bytes, cudaHostAllocPortable);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    Check(error, info_, "allocating memory");
    return data;
  }
  void DoFree(MemoryKind kind, void* data) noexcept override {
    cudaSetDevice(info_.index);
    if (kind == MemoryKind::kDevice) {
      cudaFree(data);
    } else {
      cudaFreeHost(data);
    }
  }

 private:
  const AcceleratorInfo info_;
};

}  // namespace

std::vector<AcceleratorInfo> ListCudaDevices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();
    throw core::BadInput("{}", WhyNoDevice(error));
  }
  std::vector<AcceleratorInfo> devices;
  for (int index = 0; index < count; ++index) devices.push_back(InfoOf(index));
  return devices;
}

std::unique_ptr<Accelerator> OpenCudaDevice(int index) {
  AUTODIST_CHECK_LT(static_cast<size_t>(index), ListCudaDevices().size());
  return std::make_unique<CudaAccelerator>(index);
}

}  // namespace autodist::device
