// Large memory to a device, while it is being read: weights.
//
// Two pinned buffers take turns: one is filled by the host while the other is copied by the device,
// so that reading the disk and crossing the bus take place at once. runtime/loaded_shard.h is to
// load by it onto accelerators; without kernels for GPUs only tests do.
#ifndef AUTODIST_DEVICE_UPLOAD_H_
#define AUTODIST_DEVICE_UPLOAD_H_

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

#include "autodist/device/accelerator.h"

namespace autodist::device {

// Thread-compatible. Accelerator and queue must outlive it.
class Upload {
 public:
  // Takes 2 * piece_bytes of pinned memory. REQUIRES piece_bytes > 0.
  Upload(Accelerator& accelerator, Queue& queue, size_t piece_bytes);
  // Waits for the copies under way.
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Puts bytes [offset, offset + count) of what is uploaded at `at`, which is pinned memory.
  using Fill = std::function<void(std::byte* at, size_t offset, size_t count)>;

  // Queues copies to [to, to + bytes), which is device memory. Calls `fill` for one piece after the
  // other, in order, on this thread; returns when all are queued. Throws what `fill` throws (pieces
  // before that one are copied), and DeviceLost.
  void Write(void* to, size_t bytes, const Fill& fill);

 private:
  struct Buffer {
    DeviceMemory memory;
    std::unique_ptr<Event> copied;
  };

  Queue& queue_;
  const size_t piece_bytes_;
  std::array<Buffer, 2> buffers_;
  size_t next_ = 0;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_UPLOAD_H_
