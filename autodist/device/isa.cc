#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/device/topology.h"

namespace autodist::device {
namespace {

constexpr Isa kAll[] = {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx};

bool HasAmxInstructions() {
  constexpr unsigned kAmxBf16 = 1u << 22;
  constexpr unsigned kAmxTile = 1u << 24;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (edx & kAmxBf16) != 0 && (edx & kAmxTile) != 0;
}

// Tile registers are off until the process asks for them: Documentation/arch/x86/xstate.rst of
// Linux.
bool RequestTileRegisters() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool Supports(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::kAvx512Bf16:
      return __builtin_cpu_supports("avx512bf16");
    case Isa::kAmx:
      return HasAmxInstructions() && RequestTileRegisters();
  }
  return false;
}

}  // namespace

std::string_view NameOf(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
    case Isa::kAmx:
      return "amx";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown Isa");
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> supported;
  for (const Isa isa : kAll) {
    if (!Supports(isa)) break;
    supported.push_back(isa);
  }
  return supported;
}

Isa DetectIsa() {
  const std::vector<Isa> supported = SupportedIsas();
  if (supported.empty()) {
    throw core::RuntimeFailure("this CPU lacks AVX2, FMA or F16C, which are the minimum");
  }
  const char* const forced = std::getenv("AUTODIST_ISA");
  if (forced == nullptr || *forced == '\0') return supported.back();
  const auto* const known = std::find_if(std::begin(kAll), std::end(kAll),
                                         [&](Isa isa) { return NameOf(isa) == forced; });
  if (known == std::end(kAll)) {
    throw core::BadInput("AUTODIST_ISA is \"{}\", must be avx2, avx512, avx512bf16 or amx", forced);
  }
  if (std::find(supported.begin(), supported.end(), *known) == supported.end()) {
    throw core::BadInput("AUTODIST_ISA is {}, but the best instruction set of this CPU is {}",
                         forced, NameOf(supported.back()));
  }
  return *known;
}

}  // namespace autodist::device
