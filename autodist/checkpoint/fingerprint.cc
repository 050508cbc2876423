#include "autodist/checkpoint/fingerprint.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "autodist/checkpoint/hash.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint {
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{64} << 20;
constexpr uint64_t kEdgeBytes = 4096;

std::string Identity(const core::InputFile& file) {
  struct stat info {};
  if (::fstat(file.descriptor(), &info) != 0)
    throw core::RuntimeFailure("{}: cannot be examined: {}", file.path().string(),
                               std::strerror(errno));
  return fmt::format("{} {}.{:09} {}.{:09}", info.st_ino, info.st_ctim.tv_sec, info.st_ctim.tv_nsec,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

// Tensors in file order, so that the disk is read forwards.
std::vector<std::vector<const spec::StoredTensor*>> TensorsByFile(
    const spec::TensorCatalog& catalog) {
  std::vector<std::vector<const spec::StoredTensor*>> by_file(catalog.files.size());
  for (const auto& [name, tensor] : catalog.tensors)
    by_file[static_cast<size_t>(tensor.file)].push_back(&tensor);
  for (auto& tensors : by_file)
    std::sort(tensors.begin(), tensors.end(),
              [](const auto* a, const auto* b) { return a->offset < b->offset; });
  return by_file;
}

void AddEdges(const core::InputFile& file, const spec::StoredTensor& tensor, Hash128& hash) {
  std::array<char, 2 * kEdgeBytes> edges;
  if (tensor.bytes <= edges.size()) {
    file.ReadAt(tensor.offset, edges.data(), tensor.bytes);
    hash.Add(edges.data(), tensor.bytes);
  } else {
    file.ReadAt(tensor.offset, edges.data(), kEdgeBytes);
    file.ReadAt(tensor.offset + tensor.bytes - kEdgeBytes, edges.data() + kEdgeBytes, kEdgeBytes);
    hash.Add(edges.data(), edges.size());
  }
}

}  // namespace

Fingerprint ComputeFingerprint(const std::filesystem::path& model_dir,
                               const spec::TensorCatalog& catalog) {
  Hash128 portable;
  Hash128 local;
  portable.AddField("config", core::ReadFile(model_dir / "config.json", kMaxConfigBytes));
  const auto tensors = TensorsByFile(catalog);
  for (size_t i = 0; i < catalog.files.size(); ++i) {
    const spec::WeightFile& weights = catalog.files[i];
    const core::InputFile file(weights.path);
    portable.AddField("file", weights.path.filename().string());
    portable.AddField("size", std::to_string(weights.size_bytes));
    portable.AddField("header", std::to_string(weights.header_hash));
    for (const auto* tensor : tensors[i]) AddEdges(file, *tensor, portable);
    local.AddField("identity", Identity(file));
  }
  Fingerprint fingerprint;
  fingerprint.portable = portable.Hex();
  local.AddField("portable", fingerprint.portable);
  fingerprint.local = local.Hex();
  return fingerprint;
}

}  // namespace autodist::checkpoint
