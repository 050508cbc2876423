#include "autodist/core/version.h"

namespace autodist::core {

const std::string_view kVersion = AUTODIST_VERSION;

}  // namespace autodist::core
