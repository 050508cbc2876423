// The block of shared memory of one group: for each rank a seat and some slots, for each ordered
// pair a channel.
#ifndef AUTODIST_COMM_GROUP_MEMORY_H_
#define AUTODIST_COMM_GROUP_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "autodist/comm/job_memory.h"

namespace autodist::comm {

inline constexpr size_t kSlotBytes = size_t{256} << 10;
// Of each rank, in turn. Two would do for the protocol, but writing what a peer's cache still holds
// takes four times as long as what has left it (Zen 4, both ranks at once: 113 and 29 us/MiB): so
// many that large tensors, which go through half a slot a round, fill a second-level cache first.
inline constexpr size_t kSlots = 8;
inline constexpr uint64_t kMaxMessagesUnderWay = 256;  // per ordered pair of ranks

// Every lock-free type below must have the same meaning in all processes.
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
              std::atomic<int32_t>::is_always_lock_free);

// What one rank shows to its group. Written by that rank alone, but for `sleeping_on`.
struct Seat {
  struct Record {
    std::atomic<uint64_t> code{0};     // Call::Code()
    std::atomic<int64_t> elements{0};  // Call::elements
  };
  // One cache line carries all that a peer reads on the fast path.
  alignas(kCacheLineBytes) std::atomic<uint64_t> round{0};  // rounds that this rank has entered
  std::atomic<uint64_t> calls{0};                           // collectives that it has entered
  Record records[2];                                        // by the parity of the round
  // The rank that this one sleeps for (a futex), or kAwake. A peer that moves on wakes it when it
  // is that peer.
  alignas(kCacheLineBytes) std::atomic<int32_t> sleeping_on{-1};
  std::atomic<uint32_t> left{0};
  // Ranks that are threads: where its tensor of this round lies, and whether it is at the tensors
  // of peers just now (GroupMember::Open).
  alignas(kCacheLineBytes) std::atomic<std::byte*> tensor{nullptr};
  std::atomic<uint32_t> visiting{0};
};
inline constexpr int32_t kAwake = -1;

struct Message {
  uint64_t offset;  // of the data, in the job's memory; a block of the sender's heap
  uint64_t code;    // Call::Code()
  int64_t elements;
};

// A queue with one writer and one reader.
struct Channel {
  alignas(kCacheLineBytes) std::atomic<uint64_t> sent{0};
  alignas(kCacheLineBytes) std::atomic<uint64_t> received{0};
};

// A view: where the parts of a block lie.
class GroupMemory {
 public:
  GroupMemory(std::byte* base, int ranks) : base_(base), ranks_(static_cast<size_t>(ranks)) {}

  static size_t Bytes(int ranks) {
    return GroupMemory(nullptr, ranks).slots_offset() + Slots(ranks) * kSlotBytes;
  }

  // Once, by one rank, before any other sees the block.
  void Initialise() {
    for (size_t i = 0; i < ranks_; ++i) new (base_ + i * sizeof(Seat)) Seat;
    for (size_t i = 0; i < ranks_ * ranks_; ++i)
      new (base_ + channels_offset() + i * sizeof(Channel)) Channel;
  }

  Seat& seat(int rank) const { return reinterpret_cast<Seat*>(base_)[rank]; }
  Channel& channel(int from, int to) const {
    return reinterpret_cast<Channel*>(base_ + channels_offset())[Pair(from, to)];
  }
  Message& message(int from, int to, uint64_t number) const {
    return reinterpret_cast<Message*>(
        base_ +
        messages_offset())[Pair(from, to) * kMaxMessagesUnderWay + number % kMaxMessagesUnderWay];
  }
  // kSlotBytes of room. Written by `rank` alone.
  std::byte* slot(int rank, uint64_t round) const {
    return base_ + slots_offset() +
           (static_cast<size_t>(rank) * kSlots + round % kSlots) * kSlotBytes;
  }

 private:
  static size_t Slots(int ranks) { return kSlots * static_cast<size_t>(ranks); }
  size_t Pair(int from, int to) const {
    return static_cast<size_t>(from) * ranks_ + static_cast<size_t>(to);
  }
  size_t channels_offset() const { return ranks_ * sizeof(Seat); }
  size_t messages_offset() const { return channels_offset() + ranks_ * ranks_ * sizeof(Channel); }
  size_t slots_offset() const {
    return RoundUp(messages_offset() + ranks_ * ranks_ * kMaxMessagesUnderWay * sizeof(Message),
                   kPageBytes);
  }

  std::byte* base_;
  size_t ranks_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_GROUP_MEMORY_H_
