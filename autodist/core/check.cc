#include "autodist/core/check.h"

#include <cstdio>
#include <cstdlib>

#include "autodist/core/log.h"

namespace autodist::core {

void CheckFailed(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%sbug in autodist: %s:%d: CHECK failed: %s\n", LogPrefix().c_str(), file,
               line, what.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace autodist::core
