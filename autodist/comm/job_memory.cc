#include "autodist/comm/job_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <thread>

#include "autodist/comm/group_memory.h"
#include "autodist/core/check.h"

namespace autodist::comm {
namespace {

enum AbortState : uint32_t { kRunning, kReasonBeingWritten, kAborted };

}  // namespace

void CheckRanksPerHost(int ranks) {
  if (ranks > kMaxRanksPerHost)
    throw core::BadInput("{} ranks on one host, at most {} are supported", ranks, kMaxRanksPerHost);
}

struct alignas(kCacheLineBytes) JobMemory::Header {
  std::atomic<uint32_t> abort_state{kRunning};
  std::atomic<int32_t> reporter{-1};
  int32_t abort_kind = 0;
  char abort_reason[1000] = {};
};

struct alignas(kCacheLineBytes) JobMemory::RankState {
  std::atomic<uint32_t> left{0};
  std::atomic<uint64_t> signs_of_life{0};
};

size_t JobMemory::heap_bytes() const {
  // A rank may lead a few groups beside its messages.
  return kSendBufferBytes + RoundUp(4 * GroupMemory::Bytes(ranks_), kPageBytes);
}

size_t JobMemory::TotalBytes(int ranks) {
  AUTODIST_CHECK(ranks >= 1 && ranks <= kMaxRanksPerHost);
  const JobMemory layout(nullptr, 0, ranks, false);
  return layout.offset_of(layout.heap(0)) + layout.heap_bytes() * static_cast<size_t>(ranks);
}

std::byte* JobMemory::world_block() const {
  return base_ +
         RoundUp(sizeof(Header) + sizeof(RankState) * static_cast<size_t>(ranks_), kPageBytes);
}

std::byte* JobMemory::heap(int rank) const {
  return world_block() + RoundUp(GroupMemory::Bytes(ranks_), kPageBytes) +
         heap_bytes() * static_cast<size_t>(rank);
}

JobMemory::Header& JobMemory::header() const { return *reinterpret_cast<Header*>(base_); }

JobMemory::RankState& JobMemory::state(int rank) const {
  return reinterpret_cast<RankState*>(base_ + sizeof(Header))[rank];
}

void JobMemory::Initialise() {
  new (base_) Header;
  for (int rank = 0; rank < ranks_; ++rank) new (&state(rank)) RankState;
  GroupMemory(world_block(), ranks_).Initialise();
}

std::shared_ptr<JobMemory> JobMemory::CreateForThreads(int ranks) {
  const size_t bytes = TotalBytes(ranks);
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    throw core::RuntimeFailure("cannot reserve {} MiB of address space for {} ranks: {}",
                               bytes >> 20, ranks, std::strerror(errno));
  }
  std::shared_ptr<JobMemory> memory(
      new JobMemory(static_cast<std::byte*>(base), bytes, ranks, /*one_process=*/true));
  memory->Initialise();
  return memory;
}

int JobMemory::CreateFile(int ranks) {
  const size_t bytes = TotalBytes(ranks);
  const int fd = ::memfd_create("autodist-job", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    throw core::RuntimeFailure("cannot create {} MiB of sparse shared memory for {} ranks: {}",
                               bytes >> 20, ranks, std::strerror(error));
  }
  try {
    MapFile(fd, ranks)->Initialise();
  } catch (...) {
    ::close(fd);
    throw;
  }
  return fd;
}

std::shared_ptr<JobMemory> JobMemory::MapFile(int fd, int ranks) {
  const size_t bytes = TotalBytes(ranks);
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (base == MAP_FAILED) {
    throw core::RuntimeFailure("cannot map {} MiB of shared memory for {} ranks: {}", bytes >> 20,
                               ranks, std::strerror(errno));
  }
  return std::shared_ptr<JobMemory>(
      new JobMemory(static_cast<std::byte*>(base), bytes, ranks, /*one_process=*/false));
}

JobMemory::~JobMemory() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
}

void JobMemory::Abort(const core::Error& reason) noexcept {
  uint32_t expected = kRunning;
  if (!header().abort_state.compare_exchange_strong(expected, kReasonBeingWritten)) return;
  header().abort_kind = static_cast<int32_t>(reason.kind());
  const size_t length = std::min(std::strlen(reason.what()), sizeof(Header::abort_reason) - 1);
  std::memcpy(header().abort_reason, reason.what(), length);
  header().abort_reason[length] = '\0';
  header().abort_state.store(kAborted);
}

bool JobMemory::aborted() const { return header().abort_state.load() != kRunning; }

core::Error JobMemory::abort_reason() const {
  // The writer needs microseconds; it may also have been killed before it was done.
  for (int tries = 0; tries < 1000; ++tries) {
    if (header().abort_state.load(std::memory_order_acquire) == kAborted) {
      return core::Error(static_cast<core::ErrorKind>(header().abort_kind), header().abort_reason);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return core::PeerLost("a rank died while it aborted the job");
}

bool JobMemory::ClaimReport(int rank) noexcept {
  int32_t nobody = -1;
  return header().reporter.compare_exchange_strong(nobody, rank);
}

int JobMemory::reporter() const { return header().reporter.load(); }

void JobMemory::GiveSignOfLife(int rank) noexcept {
  state(rank).signs_of_life.fetch_add(1, std::memory_order_relaxed);
}

uint64_t JobMemory::signs_of_life(int rank) const {
  return state(rank).signs_of_life.load(std::memory_order_relaxed);
}

void JobMemory::SetLeft(int rank) noexcept { state(rank).left.store(1, std::memory_order_release); }

bool JobMemory::left(int rank) const {
  return state(rank).left.load(std::memory_order_acquire) != 0;
}

}  // namespace autodist::comm
