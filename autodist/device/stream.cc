#include "autodist/device/stream.h"

namespace autodist::device {

Stream::Stream(ThreadPool& pool, Isa isa, bool deterministic)
    : pool_(pool),
      isa_(isa),
      deterministic_(deterministic),
      scratch_(static_cast<size_t>(pool.threads())) {}

void* Stream::Scratch(int worker, size_t bytes) {
  return Grow(scratch_[static_cast<size_t>(worker)], bytes);
}

void* Stream::Grow(Buffer& buffer, size_t bytes) {
  if (buffer.bytes() < bytes) {
    buffer = Buffer();  // return the old memory first: the two need never exist together
    buffer = Buffer(bytes);
  }
  return buffer.data();
}

}  // namespace autodist::device
