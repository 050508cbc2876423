// For tests: every run on a chosen instruction set.
#ifndef AUTODIST_DEVICE_TESTING_FORCED_ISA_H_
#define AUTODIST_DEVICE_TESTING_FORCED_ISA_H_

#include <cstdlib>
#include <string>

#include "autodist/device/topology.h"

namespace autodist::device::testing {

// What DetectIsa() answers until this goes out of scope. Not while other threads read the
// environment.
class ForcedIsa {
 public:
  // REQUIRES one of SupportedIsas().
  explicit ForcedIsa(Isa isa) { ::setenv("AUTODIST_ISA", std::string(NameOf(isa)).c_str(), 1); }
  ~ForcedIsa() { ::unsetenv("AUTODIST_ISA"); }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;
};

}  // namespace autodist::device::testing

#endif  // AUTODIST_DEVICE_TESTING_FORCED_ISA_H_
