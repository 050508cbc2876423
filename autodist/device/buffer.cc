#include "autodist/device/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::device {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

bool IsMapped(size_t bytes) { return bytes >= kHugePage; }
size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// `bytes` of fresh pages, starting on a huge page; nullptr when there are none.
void* MapAligned(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  const size_t kept = RoundUp(bytes, kHugePage);
  const size_t reserved = kept + kHugePage;
  void* raw = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<uint8_t*>(raw);
  const size_t address = reinterpret_cast<uintptr_t>(raw);
  const size_t skipped = RoundUp(address, kHugePage) - address;
  if (skipped > 0) munmap(begin, skipped);
  if (skipped < kHugePage) munmap(begin + skipped + kept, kHugePage - skipped);
  madvise(begin + skipped, kept,
          MADV_HUGEPAGE);  // a kernel without huge pages refuses: only speed is lost
  return begin + skipped;
}

}  // namespace

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (IsMapped(bytes)) {
    data_ = MapAligned(bytes);
  } else {
    data_ = std::aligned_alloc(kAlignment, RoundUp(bytes, kAlignment));
    if (data_ != nullptr) std::memset(data_, 0, bytes);
  }
  if (data_ == nullptr)
    throw core::RuntimeFailure("out of memory: cannot allocate {} bytes", bytes);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (IsMapped(bytes_)) {
    munmap(data_, RoundUp(bytes_, kHugePage));
  } else {
    std::free(data_);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace autodist::device
