#include "autodist/runtime/loaded_shard.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/kernels/elementwise.h"

namespace autodist::runtime {
namespace {

// What one thread reads and packs at a time: large enough for a disk, small enough that the threads
// end together.
constexpr int64_t kPartElements = int64_t{4} << 20;
// Where reading waits for the disk, so many threads more than the stream's read and pack: the disk
// has a request while every core packs. From the page cache more threads would only fill the
// caches.
constexpr int kMoreForDisk = 4;
// How many parts of each thread the disk is told of.
constexpr int kPartsAhead = 2;

// Blobs lie in one piece of memory, so that small ones too are in huge pages.
constexpr size_t kBlobAlignment = 64;

template <typename T>
T RoundUp(T value, T multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Some rows of one member of a blob, which is packed by itself into the memory of the whole.
struct Part {
  const BlobLayout* blob;
  BlobMember member;
  void* out;  // the whole blob's memory, zeroed: packing leaves padding as it is
};

void AppendParts(const BlobLayout& blob, void* out, std::vector<Part>& parts) {
  for (const BlobMember& member : blob.members) {
    const int64_t rows = member.rows.size();
    const int64_t count = rows * member.cols.size() / kPartElements + 1;
    const int64_t part_rows = RoundUp((rows + count - 1) / count, kernels::PackedLayout::kBlock);
    for (int64_t first = member.rows.first; first < member.rows.last; first += part_rows) {
      BlobMember some = member;
      some.rows = {first, std::min(member.rows.last, first + part_rows)};
      some.first_row = member.first_row + (first - member.rows.first);
      parts.push_back({&blob, some, out});
    }
  }
}

// What packing a part reads.
struct Rectangle {
  const spec::ModelTensor& tensor;
  spec::Range rows;
  spec::Range cols;
};

Rectangle RectangleOf(const spec::ParallelPlan& plan, const Part& part) {
  const BlobMember& member = part.member;
  const spec::ModelTensor& tensor = plan.tensors[static_cast<size_t>(member.tensor)];
  const bool quantised = part.blob->matrix.quantised();
  return {tensor, member.rows,
          quantised ? spec::WholeGroups(member.cols, tensor.cols) : member.cols};
}

void PackPart(device::Stream& stream, const spec::ParallelPlan& plan,
              const checkpoint::WeightReader& reader, const Part& part) {
  const BlobLayout& blob = *part.blob;
  const auto [tensor, rows, cols] = RectangleOf(plan, part);
  reader.Read(tensor, rows, cols, [&](int64_t first_row, core::ConstTensorView block) {
    const int64_t row = part.member.first_row + first_row;
    if (blob.packed) {
      kernels::PackRows(stream, block, blob.matrix, row, 0, part.out);
    } else {
      kernels::Convert(stream, block,
                       core::TensorView(static_cast<float*>(part.out) + row * blob.cols,
                                        block.rows(), block.cols()));
    }
  });
}

}  // namespace

LoadedShard LoadedShard::Pack(device::Stream& stream, const spec::ParallelPlan& plan, int rank,
                              const checkpoint::WeightReader& reader,
                              const std::function<void()>& on_part) {
  LoadedShard shard;
  std::vector<BlobLayout> layouts = LayoutShard(plan, rank);
  size_t bytes = 0;
  for (const BlobLayout& layout : layouts) bytes += RoundUp(layout.bytes(), kBlobAlignment);
  shard.memory_ = device::Buffer(bytes);
  std::vector<Part> parts;
  auto* at = shard.memory_.as<std::byte>();
  for (BlobLayout& layout : layouts) {
    std::byte* const data = std::exchange(at, at + RoundUp(layout.bytes(), kBlobAlignment));
    std::string name = layout.name;
    const auto added = shard.blobs_.emplace(std::move(name), Blob{std::move(layout), data}).first;
    AppendParts(added->second.layout, data, parts);
  }
  // Each thread reads a part and packs it while the others do the same with theirs: reading is half
  // of the work, and copying out of the page cache is bound by one core's speed.
  // The disk is told of the parts that come next, so that it never waits for packing.
  const auto announce = [&](size_t i) {
    if (i >= parts.size()) return;
    const auto [tensor, rows, cols] = RectangleOf(plan, parts[i]);
    reader.Announce(tensor, rows, cols);
  };
  const bool disk = std::any_of(parts.begin(), parts.end(), [&](const Part& part) {
    const auto [tensor, rows, cols] = RectangleOf(plan, part);
    return reader.WaitsForDisk(tensor, rows, cols);
  });
  std::optional<device::ThreadPool> more;
  if (disk) more.emplace(stream.pool().threads() + kMoreForDisk);
  device::ThreadPool& loaders = more ? *more : stream.pool();
  const auto ahead = static_cast<size_t>(kPartsAhead * loaders.threads());
  for (size_t i = 0; i < ahead; ++i) announce(i);
  std::atomic<size_t> next = 0;
  loaders.Run([&](int) {
    device::ThreadPool alone(1);
    device::Stream own(alone, stream.isa());
    for (size_t i = next++; i < parts.size(); i = next++) {
      announce(i + ahead);
      PackPart(own, plan, reader, parts[i]);
      on_part();
    }
  });
  return shard;
}

void LoadedShard::Store(checkpoint::ShardWriter& writer) const {
  for (const auto& [name, blob] : blobs_) {
    const std::span data(static_cast<const std::byte*>(blob.data), blob.layout.bytes());
    if (!writer.Add(name, blob.layout.Describe(), data)) return;
  }
  writer.Commit();
}

std::optional<LoadedShard> LoadedShard::FromCache(const spec::ParallelPlan& plan, int rank,
                                                  checkpoint::MappedShard mapping) {
  LoadedShard shard;
  for (BlobLayout& layout : LayoutShard(plan, rank)) {
    const auto blob = mapping.Find(layout.name);
    if (!blob || blob->data.size() != layout.bytes() || blob->layout != layout.Describe())
      return std::nullopt;
    std::string name = layout.name;
    shard.blobs_.emplace(std::move(name), Blob{std::move(layout), blob->data.data()});
  }
  shard.mapping_ = std::move(mapping);
  return shard;
}

kernels::PackedWeight LoadedShard::Matrix(const std::string& name) const {
  const auto found = blobs_.find(name);
  AUTODIST_CHECK(found != blobs_.end() && found->second.layout.packed);
  return {found->second.layout.matrix, found->second.data};
}

core::ConstTensorView LoadedShard::Vector(const std::string& name) const {
  const core::ConstTensorView table = Table(name);
  AUTODIST_CHECK(table.cols() <= 1);
  return {table.data(), core::DType::kF32, table.elements() > 0 ? 1 : 0, table.rows()};
}

core::ConstTensorView LoadedShard::Table(const std::string& name) const {
  const auto found = blobs_.find(name);
  if (found == blobs_.end()) return {};
  AUTODIST_CHECK(!found->second.layout.packed);
  return {found->second.data, core::DType::kF32, found->second.layout.rows,
          found->second.layout.cols};
}

uint64_t LoadedShard::bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, blob] : blobs_) sum += blob.layout.bytes();
  return sum;
}

}  // namespace autodist::runtime
