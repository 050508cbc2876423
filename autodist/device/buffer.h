// Memory of the device.
#ifndef AUTODIST_DEVICE_BUFFER_H_
#define AUTODIST_DEVICE_BUFFER_H_

#include <cstddef>

namespace autodist::device {

// Owner of `bytes` zeroed bytes, aligned to 64; from 2 MiB on aligned to 2 MiB and, where the
// system offers them, in huge pages. Large memory is only touched, and so placed near a core, by
// its first writer. Movable; a moved-from or default Buffer is empty.
class Buffer {
 public:
  Buffer() = default;
  // Throws core::Error (runtime) naming the bytes when the memory cannot be had. bytes may be 0.
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_BUFFER_H_
