// What this host offers to the process: cores, memory, instruction sets.
#ifndef AUTODIST_DEVICE_TOPOLOGY_H_
#define AUTODIST_DEVICE_TOPOLOGY_H_

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string_view>
#include <vector>

namespace autodist::device {

// Cores that this process may use: its affinity mask, cut to the CPU quota of its control groups
// (1.5 cores count as 1). At least 1.
int UsableCores();

// Bytes that can still be allocated without swapping or hitting a control group's memory limit.
// Clean file cache counts as available.
uint64_t AvailableMemoryBytes();

// Limits of the control groups of a process, versions 1 and 2, ancestors included.
struct ControlGroupLimits {
  double cores = std::numeric_limits<double>::infinity();
  uint64_t memory_left_bytes =
      std::numeric_limits<uint64_t>::max();  // limit - usage, file cache not counted as used
};
// `membership` is the text of /proc/self/cgroup, `mount` where the hierarchies are mounted
// (/sys/fs/cgroup). What cannot be read does not limit.
ControlGroupLimits ReadControlGroupLimits(std::string_view membership,
                                          const std::filesystem::path& mount);

// Instruction sets that kernels are written for, each a superset of the one before.
enum class Isa : uint8_t {
  kAvx2,        // AVX2, FMA, F16C: the minimum
  kAvx512,      // AVX-512 F, BW, DQ, VL
  kAvx512Bf16,  // + AVX512_BF16
  kAmx,         // + AMX-TILE, AMX-BF16, and the kernel's permission to use the tile registers
};
std::string_view NameOf(
    Isa isa);  // "avx2", "avx512", "avx512bf16", "amx": the words of AUTODIST_ISA

// What this CPU and kernel can run, ascending; empty below the minimum. Asks the kernel for the
// tile registers.
std::vector<Isa> SupportedIsas();

// The best one, or the one that AUTODIST_ISA names. Throws core::Error: bad input when the
// variable's word is unknown or the CPU lacks it, runtime when the CPU lacks the minimum.
Isa DetectIsa();

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_TOPOLOGY_H_
