// A device with memory and an order of work of its own: what the engine needs of a GPU.
//
// Implementations: CUDA (cuda.h) and a fake in host memory (testing/fake_accelerator.h); both pass
// accelerator_conformance.h. The CPU is not behind this interface: Buffer, ThreadPool and Stream
// are what it works with, and they have no virtual calls.
//
// What uses it: weights are loaded through pinned memory (upload.h), decode steps are captured
// (runtime/graph_cache.h), collectives are queued and events watched (comm/nccl_communicator.h).
// Kernels that would bring these together are not there yet.
//
// Threads: an Accelerator may be used by several threads, and so may Event::Reached(); a Queue or a
// Graph by one at a time. Lifetime: what an accelerator made goes before it; memory goes after the
// work that uses it is done. Failure: core::Error. After DeviceLost every further call throws it;
// destructors never throw.
#ifndef AUTODIST_DEVICE_ACCELERATOR_H_
#define AUTODIST_DEVICE_ACCELERATOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "autodist/core/error.h"

namespace autodist::device {

struct AcceleratorInfo {
  int index = 0;                    // among those that this process may use
  std::string name;                 // "cuda:0 (NVIDIA H200)"; used in messages
  std::array<uint8_t, 16> id = {};  // the same in every process that sees this device, on any host
};

struct MemoryState {
  uint64_t free_bytes = 0;  // other processes may take them meanwhile
  uint64_t total_bytes = 0;
};

// The device has failed for good: nothing of this process works on it any more, what it held is
// lost. Not to be answered by trying another way, but by ending the run.
class DeviceLost : public core::Error {
 public:
  DeviceLost(const AcceleratorInfo& info, std::string_view reason)
      : core::Error(core::ErrorKind::kRuntime, fmt::format("{} was lost: {}", info.name, reason)) {}
};

enum class MemoryKind {
  kDevice,  // only work on the device reads and writes it
  kPinned,  // of the host, at a fixed place, so that the device copies to and from it on its own
};

class Accelerator;

// Owner of memory from Accelerator::Allocate(). Movable; a moved-from or default one is empty.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept { Swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    Swap(other);
    return *this;
  }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  friend class Accelerator;
  void Swap(DeviceMemory& other) noexcept;

  Accelerator* accelerator_ = nullptr;
  MemoryKind kind_ = MemoryKind::kDevice;
  std::string part_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// A place in a queue, set by Queue::Record() and again by the next.
class Event {
 public:
  virtual ~Event() = default;
  // Whether the work that was queued before it is done; true when it was never recorded. Never
  // blocks.
  virtual bool Reached() = 0;
};

// Work that was recorded once and is started as a whole.
class Graph {
 public:
  virtual ~Graph() = default;
};

// An in-order queue of work. Calls return at once; the work runs later, beside the host.
class Queue {
 public:
  virtual ~Queue() = default;

  // What kernels and collectives of the same backend are queued on (cudaStream_t).
  virtual void* native() const = 0;

  // Both sides are device or pinned memory of this accelerator and do not overlap. bytes may be 0.
  virtual void Copy(void* to, const void* from, size_t bytes) = 0;
  // Zeroes device memory.
  virtual void Clear(void* data, size_t bytes) = 0;

  virtual void Record(Event& event) = 0;
  // Later work of this queue waits until `event`, as it is recorded now, is reached.
  virtual void WaitFor(Event& event) = 0;
  // The host waits for everything queued so far, however long that takes.
  virtual void Synchronize() = 0;

  // Records what `body` queues here, without running it. While it runs, this thread must not call
  // Synchronize(), Reached() or Allocate(); a body that does, or throws, makes this throw
  // core::Error with the reason, and the queue goes on as if nothing had been captured. Addresses
  // are recorded, contents are not: whatever differs from replay to replay lies in device memory.
  std::unique_ptr<Graph> Capture(const std::function<void()>& body);
  // Whether a Capture() of this queue is under way.
  virtual bool capturing() const = 0;
  // Queues a graph that was captured on a queue of this accelerator.
  virtual void Launch(const Graph& graph) = 0;

 protected:
  virtual void BeginCapture() = 0;
  // Ends the capture in any case. Throws when it cannot be made a graph.
  virtual std::unique_ptr<Graph> EndCapture() = 0;
};

class Accelerator {
 public:
  Accelerator() = default;
  Accelerator(const Accelerator&) = delete;
  Accelerator& operator=(const Accelerator&) = delete;
  virtual ~Accelerator() = default;

  virtual const AcceleratorInfo& info() const = 0;
  virtual MemoryState memory() = 0;
  // From here on, kernels and collectives that the calling thread starts are this device's.
  virtual void BindThread() = 0;
  virtual std::unique_ptr<Queue> CreateQueue() = 0;
  virtual std::unique_ptr<Event> CreateEvent() = 0;

  // `part` says what for ("KV cache"). The contents are arbitrary, the address is a multiple of
  // 256. bytes may be 0. Throws core::Error (runtime) naming the part when it does not fit, with
  // what it takes, what is free, and what the other parts have taken.
  DeviceMemory Allocate(MemoryKind kind, std::string_view part, size_t bytes);

 protected:
  // nullptr when there is no such memory; bytes > 0.
  virtual void* DoAllocate(MemoryKind kind, size_t bytes) = 0;
  virtual void DoFree(MemoryKind kind, void* data) noexcept = 0;

 private:
  friend class DeviceMemory;
  void Free(const DeviceMemory& memory) noexcept;
  [[noreturn]] void RefuseMemory(MemoryKind kind, std::string_view part, size_t bytes);

  std::mutex mutex_;
  std::map<std::string, uint64_t, std::less<>> device_bytes_by_part_;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_ACCELERATOR_H_
