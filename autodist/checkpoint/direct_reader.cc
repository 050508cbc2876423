#include "autodist/checkpoint/direct_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "autodist/core/check.h"

namespace autodist::checkpoint {

DirectReader::DirectReader(const core::InputFile& file) {
  if (file.size() == 0) return;
  // The file that is open, whatever its name stands for by now.
  const std::string self = fmt::format("/proc/self/fd/{}", file.descriptor());
  descriptor_ = ::open(self.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  // To all others mincore() says that everything is in memory.
  struct stat status;
  const bool told =
      ::fstat(file.descriptor(), &status) == 0 &&
      (status.st_uid == ::geteuid() || ::faccessat(AT_FDCWD, self.c_str(), W_OK, AT_EACCESS) == 0);
  if (!told) return;
  void* const mapping = ::mmap(nullptr, file.size(), PROT_NONE, MAP_SHARED, file.descriptor(), 0);
  if (mapping == MAP_FAILED) return;
  mapping_ = mapping;
  mapping_bytes_ = file.size();
}

DirectReader::~DirectReader() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

DirectReader::Residence DirectReader::ResidenceOf(uint64_t offset, size_t bytes) const {
  const uint64_t middle = offset + bytes / 2;
  if (middle >= mapping_bytes_) return Residence::kUnknown;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  if (::mincore(static_cast<uint8_t*>(mapping_) + middle / page * page, 1, &resident) != 0)
    return Residence::kUnknown;
  return (resident & 1) != 0 ? Residence::kInMemory : Residence::kAbsent;
}

uint8_t* DirectReader::Read(uint64_t offset, size_t bytes, const device::Buffer& buffer,
                            uint64_t& requested) const {
  AUTODIST_CHECK(buffer.bytes() >= BufferBytes(bytes));
  AUTODIST_CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % kAlignment == 0);
  if (descriptor_ < 0) return nullptr;
  const uint64_t first = offset / kAlignment * kAlignment;
  const uint64_t last = (offset + bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t wanted = offset + bytes - first;  // the end of the file may lie before `last`
  auto* const out = buffer.as<uint8_t>();
  size_t done = 0;
  while (done < wanted) {
    const ssize_t got =
        ::pread(descriptor_, out + done, last - first - done, static_cast<off_t>(first + done));
    if (got < 0 && errno == EINTR) continue;
    // A piece that ends inside of a sector is the end of the file.
    if (got <= 0) return nullptr;
    done += static_cast<size_t>(got);
    if (done < wanted && done % kAlignment != 0) return nullptr;
  }
  requested = last - first;
  return out + (offset - first);
}

}  // namespace autodist::checkpoint
