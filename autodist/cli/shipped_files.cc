#include "autodist/cli/bundled_model.h"

#include <system_error>

#include "autodist/core/error.h"

namespace autodist::cli {

std::filesystem::path BundledModelDirectory() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path installed =
      program.parent_path().parent_path() / "share/autodist/models/story-2m";
  if (std::filesystem::exists(installed / "config.json", error)) return installed;
  // A build directory lies inside the source tree: build/release/autodist.
  for (std::filesystem::path up = program.parent_path(); up != up.root_path();
       up = up.parent_path()) {
    const std::filesystem::path source = up / "models/story-2m";
    if (std::filesystem::exists(source / "config.json", error)) return source;
  }
  throw core::BadInput(
      "the bundled model is neither in {} nor in models/story-2m above {}; name one with --model",
      installed.string(), program.string());
}

}  // namespace autodist::cli
