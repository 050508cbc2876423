// Where the model that comes with the program lies.
#ifndef AUTODIST_CLI_BUNDLED_MODEL_H_
#define AUTODIST_CLI_BUNDLED_MODEL_H_

#include <filesystem>

namespace autodist::cli {

// Beside the program: <prefix>/share/autodist/models/story-2m when installed, the source tree's
// models/story-2m when run from a build directory. Throws core::Error (bad input) naming both
// places when neither is there.
std::filesystem::path BundledModelDirectory();

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_BUNDLED_MODEL_H_
