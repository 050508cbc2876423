#include "autodist/checkpoint/mapped_shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "autodist/checkpoint/hash.h"
#include "autodist/checkpoint/safetensors.h"
#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/unique_fd.h"

namespace autodist::checkpoint {
namespace {

// Pages are asked for and hashed in turns, so that a disk is read on meanwhile.
constexpr size_t kPieceBytes = size_t{8} << 20;

bool Present(const std::filesystem::path& path) {
  struct stat ignored {};
  return ::lstat(path.c_str(), &ignored) == 0;
}

// Whether the pages of `bytes`, which begin at one, can be read: touching one that a broken disk no
// longer gives would be a SIGBUS. Kernels before 5.14 do not tell.
bool Readable(std::span<const std::byte> bytes) {
  return ::madvise(const_cast<std::byte*>(bytes.data()), bytes.size(), MADV_POPULATE_READ) == 0 ||
         (errno != EFAULT && errno != EHWPOISON);
}

// Empty when every byte is as the manifest says.
std::string FindDamage(const MappedShard& shard, const ShardManifest& manifest) {
  const std::span<const std::byte> file = shard.file();
  const std::string first_page = FirstPage(manifest.key_hash);
  if (!Readable(file.first(first_page.size()))) return "its first page cannot be read";
  if (std::memcmp(file.data(), first_page.data(), first_page.size()) != 0)
    return "its first page differs";
  for (const auto& blob : manifest.blobs) {
    Hash128 hash;
    auto rest = file.subspan(blob.offset, PaddedBytes(blob.bytes));
    while (!rest.empty()) {
      const auto piece = rest.first(std::min(rest.size(), kPieceBytes));
      if (!Readable(piece)) return fmt::format("{} cannot be read", QuotedName(blob.name));
      hash.Add(piece.data(), piece.size());
      rest = rest.subspan(piece.size());
    }
    if (hash.Hex() != blob.hash)
      return fmt::format("the checksum of {} differs", QuotedName(blob.name));
  }
  return "";
}

}  // namespace

MappedShard::MappedShard(int descriptor, const ShardManifest& manifest)
    : bytes_(manifest.file_bytes) {
  void* data = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  data_ = static_cast<const std::byte*>(data);
  for (const auto& blob : manifest.blobs)
    blobs_.emplace(blob.name, Entry{blob.offset, blob.bytes, blob.layout});
}

MappedShard::~MappedShard() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), bytes_);
}

MappedShard::MappedShard(MappedShard&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      blobs_(std::move(other.blobs_)) {}

MappedShard& MappedShard::operator=(MappedShard&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(blobs_, other.blobs_);
  return *this;
}

std::optional<MappedShard::Blob> MappedShard::Find(std::string_view name) const {
  const auto found = blobs_.find(name);
  if (found == blobs_.end()) return std::nullopt;
  return Blob{file().subspan(found->second.offset, found->second.bytes), found->second.layout};
}

ShardLoad LoadShard(const std::filesystem::path& entry_dir, std::string_view key_hash, int rank) {
  const std::filesystem::path data_path = entry_dir / DataName(rank);
  const std::filesystem::path manifest_path = entry_dir / ManifestName(rank);
  if (!Present(manifest_path))
    return {std::nullopt, Present(data_path) ? "its manifest is missing" : ""};
  try {
    const ShardManifest manifest = ReadManifest(manifest_path);
    if (manifest.key_hash != key_hash) return {std::nullopt, "its manifest carries another key"};
    if (manifest.rank != rank)
      return {std::nullopt, fmt::format("it belongs to rank {}", manifest.rank)};

    const core::UniqueFd data(
        ::open(data_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (data.get() < 0 || ::fstat(data.get(), &info) != 0)
      return {std::nullopt,
              fmt::format("{} cannot be opened: {}", DataName(rank), std::strerror(errno))};
    if (!S_ISREG(info.st_mode))
      return {std::nullopt, fmt::format("{} is not a regular file", DataName(rank))};
    if (static_cast<uint64_t>(info.st_size) != manifest.file_bytes)
      return {std::nullopt, fmt::format("{} has {} bytes, its manifest says {}", DataName(rank),
                                        info.st_size, manifest.file_bytes)};
    MappedShard shard(data.get(), manifest);
    // All of it is read at once now: large reads from a cold disk, into huge pages where the page
    // cache has them, and page tables filled for the run. Only hints.
    const auto file = shard.file();
    for (const int advice : {MADV_HUGEPAGE, MADV_WILLNEED})
      ::madvise(const_cast<std::byte*>(file.data()), file.size(), advice);
    std::string damage = FindDamage(shard, manifest);
    if (!damage.empty()) return {std::nullopt, std::move(damage)};
    return {std::move(shard), ""};
  } catch (const core::Error& error) {
    return {std::nullopt, error.what()};
  } catch (const std::system_error& error) {
    return {std::nullopt, fmt::format("{} cannot be mapped: {}", DataName(rank), error.what())};
  }
}

}  // namespace autodist::checkpoint
