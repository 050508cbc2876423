#include "autodist/comm/shared_memory_communicator.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "autodist/comm/reduce.h"
#include "autodist/core/check.h"

namespace autodist::comm {
namespace {

// Up to here every rank adds all slots itself: one synchronisation. Above, each adds its share and
// hands it on.
constexpr size_t kOneRoundBytes = size_t{32} << 10;
// Ranks that are threads need no slots for that, and are quicker sooner.
constexpr size_t kOneRoundBytesOfThreads = size_t{8} << 10;
constexpr size_t kDirectBlockBytes = size_t{8}
                                     << 10;  // sums that are still in the first-level cache
// Chunks of the large all-reduce: small enough that slots stay in the cache, large enough that
// meeting is cheap.
constexpr size_t kChunkBytes = size_t{128} << 10;
static_assert(kOneRoundBytes <= kSlotBytes && 2 * kChunkBytes <= kSlotBytes);

// Elements [first, first + count) of a contiguous tensor, as bytes.
struct Bytes {
  explicit Bytes(core::ConstTensorView view)
      : data(static_cast<std::byte*>(const_cast<void*>(view.data()))),
        element(core::SizeOf(view.dtype())) {}
  std::byte* at(int64_t index) const { return data + static_cast<size_t>(index) * element; }
  size_t length(int64_t count) const { return static_cast<size_t>(count) * element; }

  std::byte* data;
  size_t element;
};

void Copy(void* to, const void* from, size_t bytes) {
  if (bytes != 0 && to != from) std::memcpy(to, from, bytes);
}

// Chunks of at least one element, at least one chunk even of nothing: an empty collective meets
// too.
int64_t ElementsPerChunk(size_t room_bytes, core::DType dtype) {
  return std::max<int64_t>(1, static_cast<int64_t>(room_bytes / core::SizeOf(dtype)));
}

}  // namespace

std::unique_ptr<Communicator> SharedMemoryCommunicator::World(std::shared_ptr<JobRank> job) {
  std::vector<int> members(job->memory->ranks());
  std::iota(members.begin(), members.end(), 0);
  std::byte* block = job->memory->world_block();
  const int rank = job->rank;
  return std::make_unique<SharedMemoryCommunicator>(std::move(job), block, rank, std::move(members),
                                                    "world");
}

SharedMemoryCommunicator::SharedMemoryCommunicator(std::shared_ptr<JobRank> job, std::byte* block,
                                                   int rank, std::vector<int> members,
                                                   std::string name)
    : member_(std::move(job), block, rank, std::move(members), std::move(name)),
      mailbox_(member_) {}

Work SharedMemoryCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  member_.Begin(Call::Of(CallKind::kAllReduce, inout, op));
  if (Direct(inout.bytes())) {
    AllReduceDirect(inout, op);
  } else if (inout.bytes() <= kOneRoundBytes) {
    AllReduceOneRound(inout, op);
  } else {
    AllReduceInChunks(inout, op);
  }
  return Work();
}

bool SharedMemoryCommunicator::Direct(size_t bytes) const {
  return member_.job().memory->one_process() && bytes > kOneRoundBytesOfThreads;
}

void SharedMemoryCommunicator::AllReduceOneRound(core::TensorView inout, ReduceOp op) {
  Copy(member_.NextSlot(), inout.data(), inout.bytes());
  member_.Meet();
  const void* sources[kMaxRanksPerHost];
  for (int peer = 0; peer < size(); ++peer) sources[peer] = member_.Slot(peer);
  sources[rank()] = inout.data();
  ReduceInOrder(op, inout.dtype(), {sources, static_cast<size_t>(size())}, inout.elements(),
                inout.data());
}

// Each rank adds its share of all tensors where they lie and writes the sums into all of them.
void SharedMemoryCommunicator::AllReduceDirect(core::TensorView inout, ReduceOp op) {
  const size_t element = core::SizeOf(inout.dtype());
  const int64_t block = static_cast<int64_t>(kDirectBlockBytes / element);
  const int ranks = size();
  member_.Open(static_cast<std::byte*>(inout.data()), [&](std::byte* const* tensors) {
    const int64_t end = inout.elements() * (rank() + 1) / ranks;
    const void* sources[kMaxRanksPerHost];
    for (int64_t first = inout.elements() * rank() / ranks; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      const size_t offset = static_cast<size_t>(first) * element;
      for (int peer = 0; peer < ranks; ++peer) sources[peer] = tensors[peer] + offset;
      std::byte* const own = tensors[rank()] + offset;
      ReduceInOrder(op, inout.dtype(), {sources, static_cast<size_t>(ranks)}, count, own);
      for (int i = 1; i < ranks; ++i)
        Copy(tensors[(rank() + i) % ranks] + offset, own, static_cast<size_t>(count) * element);
    }
  });
}

// Round k carries in each slot the rank's summands of chunk k, and behind them the rank's share of
// the sums of chunk k - 1: chunks + 1 rounds in all.
void SharedMemoryCommunicator::AllReduceInChunks(core::TensorView inout, ReduceOp op) {
  const Bytes data(inout);
  const int64_t chunk = ElementsPerChunk(kChunkBytes, inout.dtype());
  const int64_t chunks = (inout.elements() + chunk - 1) / chunk;
  const int ranks = size();
  const auto first = [&](int64_t k) { return k * chunk; };
  const auto count = [&](int64_t k) { return std::min(chunk, inout.elements() - k * chunk); };
  // Where the share of `peer` of chunk k begins, counted from the chunk's first element.
  const auto share = [&](int64_t k, int peer) { return count(k) * peer / ranks; };
  const void* sources[kMaxRanksPerHost];
  for (int64_t k = 0; k <= chunks; ++k) {
    if (k < chunks) {
      // All but the own share, which nobody else reads.
      const int64_t begin = share(k, rank());
      const int64_t end = share(k, rank() + 1);
      std::byte* slot = member_.NextSlot();
      Copy(slot, data.at(first(k)), data.length(begin));
      Copy(slot + data.length(end), data.at(first(k) + end), data.length(count(k) - end));
    }
    member_.Meet();
    for (int i = 1; k > 0 && i < ranks; ++i) {
      const int peer = (rank() + i) % ranks;
      const int64_t begin = share(k - 1, peer);
      Copy(data.at(first(k - 1) + begin), member_.Slot(peer) + kChunkBytes,
           data.length(share(k - 1, peer + 1) - begin));
    }
    if (k < chunks) {
      const int64_t begin = share(k, rank());
      const int64_t elements = share(k, rank() + 1) - begin;
      for (int peer = 0; peer < ranks; ++peer)
        sources[peer] = member_.Slot(peer) + data.length(begin);
      std::byte* own = data.at(first(k) + begin);
      sources[rank()] = own;
      ReduceInOrder(op, inout.dtype(), {sources, static_cast<size_t>(ranks)}, elements, own);
      Copy(member_.NextSlot() + kChunkBytes, own, data.length(elements));
    }
  }
}

Work SharedMemoryCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  member_.Begin(Call::Of(CallKind::kAllGather, part));
  const Bytes from(part);
  const Bytes to(whole);
  if (Direct(part.bytes())) {
    member_.Open(from.data, [&](std::byte* const* parts) {
      for (int i = 0; i < size(); ++i) {
        const int peer = (rank() + i) % size();
        Copy(to.at(peer * part.elements()), parts[peer], part.bytes());
      }
    });
    return Work();
  }
  const int64_t chunk = ElementsPerChunk(kSlotBytes, part.dtype());
  Copy(to.at(rank() * part.elements()), part.data(), part.bytes());
  int64_t first = 0;
  do {
    const int64_t count = std::min(chunk, part.elements() - first);
    Copy(member_.NextSlot(), from.at(first), from.length(count));
    member_.Meet();
    for (int i = 1; i < size(); ++i) {
      const int peer = (rank() + i) % size();
      Copy(to.at(peer * part.elements() + first), member_.Slot(peer), to.length(count));
    }
    first += chunk;
  } while (first < part.elements());
  return Work();
}

Work SharedMemoryCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                               ReduceOp op) {
  member_.Begin(Call::Of(CallKind::kReduceScatter, whole, op));
  const Bytes from(whole);
  const Bytes to(part);
  const int ranks = size();
  const void* sources[kMaxRanksPerHost];
  if (Direct(part.bytes())) {
    member_.Open(from.data, [&](std::byte* const* wholes) {
      const size_t offset = from.length(rank() * part.elements());
      for (int peer = 0; peer < ranks; ++peer) sources[peer] = wholes[peer] + offset;
      ReduceInOrder(op, part.dtype(), {sources, static_cast<size_t>(ranks)}, part.elements(),
                    to.data);
    });
    return Work();
  }
  const int64_t chunk = ElementsPerChunk(kSlotBytes / static_cast<size_t>(ranks), part.dtype());
  int64_t first = 0;
  do {
    const int64_t count = std::min(chunk, part.elements() - first);
    for (int peer = 0; peer < ranks; ++peer) {
      if (peer == rank()) continue;
      Copy(member_.NextSlot() + from.length(peer * count), from.at(peer * part.elements() + first),
           from.length(count));
    }
    member_.Meet();
    for (int peer = 0; peer < ranks; ++peer)
      sources[peer] = member_.Slot(peer) + from.length(rank() * count);
    sources[rank()] = from.at(rank() * part.elements() + first);
    ReduceInOrder(op, part.dtype(), {sources, static_cast<size_t>(ranks)}, count, to.at(first));
    first += chunk;
  } while (first < part.elements());
  return Work();
}

Work SharedMemoryCommunicator::DoBroadcast(core::TensorView inout, int root) {
  member_.Begin(Call::Of(CallKind::kBroadcast, inout, ReduceOp::kSum, root));
  const Bytes data(inout);
  const int64_t chunk = ElementsPerChunk(kSlotBytes, inout.dtype());
  int64_t first = 0;
  do {
    const int64_t count = std::min(chunk, inout.elements() - first);
    if (rank() == root) Copy(member_.NextSlot(), data.at(first), data.length(count));
    member_.Meet();
    if (rank() != root) Copy(data.at(first), member_.Slot(root), data.length(count));
    first += chunk;
  } while (first < inout.elements());
  return Work();
}

Work SharedMemoryCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  member_.Begin(Call::Of(CallKind::kAllToAll, in));
  const Bytes from(in);
  const Bytes to(out);
  const int ranks = size();
  const int64_t part = in.elements() / ranks;
  const int64_t chunk = ElementsPerChunk(kSlotBytes / static_cast<size_t>(ranks), in.dtype());
  int64_t first = 0;
  do {
    const int64_t count = std::min(chunk, part - first);
    for (int peer = 0; peer < ranks; ++peer) {
      if (peer == rank()) continue;
      Copy(member_.NextSlot() + from.length(peer * count), from.at(peer * part + first),
           from.length(count));
    }
    member_.Meet();
    Copy(to.at(rank() * part + first), from.at(rank() * part + first), from.length(count));
    for (int i = 1; i < ranks; ++i) {
      const int peer = (rank() + i) % ranks;
      Copy(to.at(peer * part + first), member_.Slot(peer) + from.length(rank() * count),
           from.length(count));
    }
    first += chunk;
  } while (first < part);
  return Work();
}

Work SharedMemoryCommunicator::DoSend(core::ConstTensorView data, int to) {
  mailbox_.Send(data, to);
  return Work();
}

Work SharedMemoryCommunicator::DoReceive(core::TensorView data, int from) {
  return mailbox_.Receive(data, from);
}

void SharedMemoryCommunicator::DoBarrier(std::optional<double> limit_s) {
  member_.Begin(Call(), limit_s);
  member_.Meet();
}

std::unique_ptr<Communicator> SharedMemoryCommunicator::DoSplit(int color, int key,
                                                                const std::string& name) {
  const int64_t own[] = {color, key};
  std::vector<int64_t> all(2 * static_cast<size_t>(size()));
  AllGather({own, 1, 2}, {all.data(), size(), 2}).Wait();
  std::vector<int> peers;  // group ranks of this color, in the order of the new group
  for (int peer = 0; peer < size(); ++peer) {
    if (all[2 * peer] == color) peers.push_back(peer);
  }
  std::stable_sort(peers.begin(), peers.end(),
                   [&](int a, int b) { return all[2 * a + 1] < all[2 * b + 1]; });

  // The first of each color makes the block, and tells where it is.
  int64_t offset = -1;
  const bool leads = color >= 0 && peers.front() == rank();
  if (leads) {
    const int ranks = static_cast<int>(peers.size());
    std::byte* block =
        member_.job().heap.Allocate(GroupMemory::Bytes(ranks), static_cast<uint32_t>(ranks));
    if (block == nullptr)
      member_.Fail(core::RuntimeFailure("group {}: too many groups of this size", name));
    GroupMemory(block, ranks).Initialise();
    offset = static_cast<int64_t>(member_.job().memory->offset_of(block));
  }
  std::vector<int64_t> offsets(static_cast<size_t>(size()));
  AllGather({&offset, 1, 1}, {offsets.data(), 1, size()}).Wait();
  if (color < 0) return nullptr;

  std::vector<int> members;
  for (int peer : peers) members.push_back(member_.members()[peer]);
  const auto place = std::find(peers.begin(), peers.end(), rank()) - peers.begin();
  return std::make_unique<SharedMemoryCommunicator>(
      member_.shared_job(), member_.job().memory->at(static_cast<uint64_t>(offsets[peers.front()])),
      static_cast<int>(place), std::move(members), name);
}

}  // namespace autodist::comm
