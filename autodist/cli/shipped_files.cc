#include "autodist/cli/shipped_files.h"

#include <string_view>
#include <system_error>

#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

// `name` is the path below both roots, `probe` a file that must be there, `otherwise` the flag that
// names another.
std::filesystem::path FindShipped(std::string_view name, std::string_view probe,
                                  std::string_view otherwise) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path installed =
      program.parent_path().parent_path() / "share/autodist" / name;
  if (std::filesystem::exists(installed / probe, error)) return installed;
  // A build directory lies inside the source tree: build/release/autodist.
  for (std::filesystem::path up = program.parent_path(); up != up.root_path();
       up = up.parent_path())
    if (std::filesystem::exists(up / name / probe, error)) return up / name;
  throw core::BadInput("{} is neither in {} nor above {}; name another with {}", name,
                       installed.parent_path().string(), program.string(), otherwise);
}

}  // namespace

std::filesystem::path BundledModelDirectory() {
  return FindShipped("models/story-2m", "config.json", "--model");
}

std::filesystem::path OverlapLauncher() {
  constexpr std::string_view kProgram = "profile_overlap_case.py";
  return FindShipped("tools/megatron", kProgram, "--launcher") / kProgram;
}

}  // namespace autodist::cli
