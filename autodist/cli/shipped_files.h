// Where what comes with the program lies: below <prefix>/share/autodist when installed, in the
// source tree when run from a build directory inside it.
#ifndef AUTODIST_CLI_SHIPPED_FILES_H_
#define AUTODIST_CLI_SHIPPED_FILES_H_

#include <filesystem>

namespace autodist::cli {

// The bundled model, and the launcher of `tune overlap`. Throw core::Error (bad input) naming both
// places when it is in neither.
std::filesystem::path BundledModelDirectory();
std::filesystem::path OverlapLauncher();

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_SHIPPED_FILES_H_
