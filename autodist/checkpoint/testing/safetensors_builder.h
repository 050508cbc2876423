// For tests: safetensors files made by hand, well-formed or not, and a directory to put them in.
#ifndef AUTODIST_CHECKPOINT_TESTING_SAFETENSORS_BUILDER_H_
#define AUTODIST_CHECKPOINT_TESTING_SAFETENSORS_BUILDER_H_

#include <fcntl.h>
#include <fmt/ranges.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint::testing {

// A new empty directory, removed with all it holds at the end.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "autodist_test_XXXXXX").string();
    AUTODIST_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void WriteBytes(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  AUTODIST_CHECK(out.good());
}

// Drops the file from the page cache; false where it lies nowhere else.
inline bool DropFromPageCache(const core::InputFile& file) {
  struct statfs system;
  AUTODIST_CHECK_EQ(::fstatfs(file.descriptor(), &system), 0);
  AUTODIST_CHECK_EQ(::fsync(file.descriptor()), 0);  // only clean pages are dropped
  AUTODIST_CHECK_EQ(::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED), 0);
  return system.f_type != TMPFS_MAGIC;
}

inline std::string ReadBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The eight length bytes, the header and the data as they are given.
inline std::string RawSafetensors(std::string_view header, std::string_view data = {}) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += header;
  bytes += data;
  return bytes;
}

struct BuiltTensor {
  std::string name;  // plain ASCII without quotes
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// A well-formed file: the tensors in the given order.
inline std::string BuildSafetensors(const std::vector<BuiltTensor>& tensors) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::string data;
  for (const auto& tensor : tensors) {
    header += fmt::format(R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          tensor.name, tensor.dtype, fmt::join(tensor.shape, ","), data.size(),
                          data.size() + tensor.bytes.size());
    data += tensor.bytes;
  }
  return RawSafetensors(header + "}", data);
}

}  // namespace autodist::checkpoint::testing

#endif  // AUTODIST_CHECKPOINT_TESTING_SAFETENSORS_BUILDER_H_
