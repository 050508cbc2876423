// What this machine can do at most: the yardsticks that bench prints beside each phase.
#ifndef AUTODIST_MEASURE_MACHINE_LIMITS_H_
#define AUTODIST_MEASURE_MACHINE_LIMITS_H_

#include <cstddef>

#include "autodist/device/stream.h"

namespace autodist::measure {

// Bytes per second at which the stream's threads read `bytes` of memory that none of them wrote
// last: the best of three passes over a buffer of that size. Takes the time of four passes and the
// memory of one.
double ReadBytesPerSecond(device::Stream& stream, size_t bytes);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_MACHINE_LIMITS_H_
