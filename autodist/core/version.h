// The version of this program, as cmake's project() states it.
#ifndef AUTODIST_CORE_VERSION_H_
#define AUTODIST_CORE_VERSION_H_

#include <string_view>

namespace autodist::core {

extern const std::string_view kVersion;  // "0.1.0"

}  // namespace autodist::core

#endif  // AUTODIST_CORE_VERSION_H_
