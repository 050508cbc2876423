#include "autodist/device/upload.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "autodist/core/check.h"

namespace autodist::device {
namespace {

// A piece takes the bus some hundred microseconds or more: there is no hurry to notice its end.
void Await(Event& event) {
  while (!event.Reached()) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

}  // namespace

Upload::Upload(Accelerator& accelerator, Queue& queue, size_t piece_bytes)
    : queue_(queue), piece_bytes_(piece_bytes) {
  AUTODIST_CHECK_GT(piece_bytes, 0u);
  for (Buffer& buffer : buffers_) {
    buffer.memory = accelerator.Allocate(MemoryKind::kPinned, "upload", piece_bytes);
    buffer.copied = accelerator.CreateEvent();
  }
}

Upload::~Upload() {
  try {
    for (Buffer& buffer : buffers_) Await(*buffer.copied);
  } catch (const core::Error&) {  // the device is lost, and with it the copies
  }
}

void Upload::Write(void* to, size_t bytes, const Fill& fill) {
  for (size_t offset = 0; offset < bytes; offset += piece_bytes_) {
    const size_t count = std::min(piece_bytes_, bytes - offset);
    Buffer& buffer = buffers_[next_];
    Await(*buffer.copied);
    fill(buffer.memory.as<std::byte>(), offset, count);
    queue_.Copy(static_cast<std::byte*>(to) + offset, buffer.memory.data(), count);
    queue_.Record(*buffer.copied);
    next_ = (next_ + 1) % buffers_.size();
  }
}

}  // namespace autodist::device
