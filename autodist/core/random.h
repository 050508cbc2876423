// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).
//
// A number is a pure function of (seed, stream, index): the same on every rank, in any order, with
// nothing to store.
#ifndef AUTODIST_CORE_RANDOM_H_
#define AUTODIST_CORE_RANDOM_H_

#include <array>
#include <cstdint>

namespace autodist::core {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Uniform in [0, 1) with 53 random bits.
double UniformDouble(uint64_t seed, uint64_t stream, uint64_t index);

// 64 random bits.
uint64_t RandomBits(uint64_t seed, uint64_t stream, uint64_t index);

}  // namespace autodist::core

#endif  // AUTODIST_CORE_RANDOM_H_
