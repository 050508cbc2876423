// Reads of a file past the page cache.
//
// Bytes that no page of the cache holds come from the disk straight into the caller's memory: no
// page is allocated, and nothing is copied. Bytes that are cached are cheaper to copy from there.
#ifndef AUTODIST_CHECKPOINT_DIRECT_READER_H_
#define AUTODIST_CHECKPOINT_DIRECT_READER_H_

#include <cstddef>
#include <cstdint>

#include "autodist/core/file.h"
#include "autodist/device/buffer.h"

namespace autodist::checkpoint {

// Safe to use from several threads. The file must outlive it.
class DirectReader {
 public:
  // What a read is rounded to at both ends, in the file and in memory. Disks have sectors of at
  // most this size.
  static constexpr size_t kAlignment = 4096;
  // A buffer for Read() of `bytes` at any offset.
  static constexpr size_t BufferBytes(size_t bytes) { return bytes + 2 * kAlignment; }

  explicit DirectReader(const core::InputFile& file);
  ~DirectReader();
  DirectReader(const DirectReader&) = delete;
  DirectReader& operator=(const DirectReader&) = delete;

  // Whether the system and the file system offer such reads.
  bool offered() const { return descriptor_ >= 0; }

  // Where the page in the middle of [offset, offset + bytes) is. Kernels read and drop a file in
  // long runs, so one page speaks for its neighbours; a wrong guess costs speed only. Unknown: the
  // kernel does not tell those who neither own the file nor may write it.
  enum class Residence { kInMemory, kAbsent, kUnknown };
  Residence ResidenceOf(uint64_t offset, size_t bytes) const;

  // Where in `buffer` the bytes [offset, offset + bytes) now lie, with the alignment that `offset`
  // has; nullptr when they cannot be read this way, for whatever reason: an ordinary read will
  // do, or tell why not. `requested` is what the file was asked for. REQUIRES a buffer of
  // BufferBytes(bytes), aligned to kAlignment, as large buffers are.
  uint8_t* Read(uint64_t offset, size_t bytes, const device::Buffer& buffer,
                uint64_t& requested) const;

 private:
  int descriptor_ = -1;       // -1: not offered
  void* mapping_ = nullptr;   // of the whole file, never read: what ResidenceOf() asks about
  size_t mapping_bytes_ = 0;  // 0: nothing is known about the cache
};

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_DIRECT_READER_H_
