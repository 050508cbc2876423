// What this machine can do at most: the yardsticks that bench prints beside each phase.
#ifndef AUTODIST_MEASURE_MACHINE_LIMITS_H_
#define AUTODIST_MEASURE_MACHINE_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "autodist/device/stream.h"

namespace autodist::measure {

// Reads `chunks` of kReadChunkBytes each; every byte goes into the result. REQUIRES `data` aligned
// to a cache line.
using ReadWay = uint64_t (*)(const uint8_t* data, size_t chunks);
inline constexpr size_t kReadChunkBytes = 256;

// Ways of reading memory of which one is the fastest known on each CPU that has `isa`.
std::span<const ReadWay> ReadWays(device::Isa isa);

// Seconds in which the stream's threads, each its share, read all whole chunks of `data` once.
double SecondsOfReading(device::Stream& stream, ReadWay way, const void* data, size_t bytes);

// Bytes per second at which the stream's threads read `bytes` of memory that none of them wrote
// last: the best of four passes over a buffer of that size, the ReadWays() in turn. Takes the time
// of five passes and the memory of one.
double ReadBytesPerSecond(device::Stream& stream, size_t bytes);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_MACHINE_LIMITS_H_
