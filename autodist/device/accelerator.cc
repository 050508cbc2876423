#include "autodist/device/accelerator.h"

#include <utility>

namespace autodist::device {
namespace {

std::string InMiB(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 1048576.0);
}

}  // namespace

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) accelerator_->Free(*this);
}

void DeviceMemory::Swap(DeviceMemory& other) noexcept {
  std::swap(accelerator_, other.accelerator_);
  std::swap(kind_, other.kind_);
  std::swap(part_, other.part_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
}

std::unique_ptr<Graph> Queue::Capture(const std::function<void()>& body) {
  BeginCapture();
  try {
    body();
  } catch (...) {
    try {
      EndCapture();
    } catch (const core::Error&) {  // of the same cause; the body's own words say more
    }
    throw;
  }
  return EndCapture();
}

DeviceMemory Accelerator::Allocate(MemoryKind kind, std::string_view part, size_t bytes) {
  DeviceMemory memory;
  if (bytes == 0) return memory;
  memory.data_ = DoAllocate(kind, bytes);
  if (memory.data_ == nullptr) RefuseMemory(kind, part, bytes);
  memory.accelerator_ = this;
  memory.kind_ = kind;
  memory.part_ = part;
  memory.bytes_ = bytes;
  if (kind == MemoryKind::kDevice) {
    const std::lock_guard lock(mutex_);
    device_bytes_by_part_[memory.part_] += bytes;
  }
  return memory;
}

void Accelerator::Free(const DeviceMemory& memory) noexcept {
  DoFree(memory.kind_, memory.data_);
  if (memory.kind_ != MemoryKind::kDevice) return;
  const std::lock_guard lock(mutex_);
  const auto entry = device_bytes_by_part_.find(memory.part_);
  entry->second -= memory.bytes_;
  if (entry->second == 0) device_bytes_by_part_.erase(entry);
}

void Accelerator::RefuseMemory(MemoryKind kind, std::string_view part, size_t bytes) {
  if (kind == MemoryKind::kPinned)
    throw core::RuntimeFailure("{}: the host cannot pin {} of memory for the {}", info().name,
                               InMiB(bytes), part);
  const MemoryState state = memory();
  std::string others;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, taken] : device_bytes_by_part_)
      others += fmt::format("{} {}: {}", others.empty() ? "; taken:" : ",", name, InMiB(taken));
  }
  throw core::RuntimeFailure("out of memory on {}: the {} takes {}, {} of {} are free{}",
                             info().name, part, InMiB(bytes), InMiB(state.free_bytes),
                             InMiB(state.total_bytes), others);
}

}  // namespace autodist::device
