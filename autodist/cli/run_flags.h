// The flags that every command with a model and a mesh shares, as DESIGN section 6 lists them.
#ifndef AUTODIST_CLI_RUN_FLAGS_H_
#define AUTODIST_CLI_RUN_FLAGS_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "autodist/infer/model_runner.h"

namespace autodist::cli {

// Which model: --model or the first argument, else the bundled one.
struct ModelFlag {
  std::string model;

  void Add(CLI::App& app);
  // The word as given, or the directory of the bundled model. Throws core::Error when that is not installed.
  std::string Resolve() const;
};

// Parses "8G", "512M", "1.5GiB" or plain bytes; K, M, G, T are powers of 1024. Throws core::Error naming `flag`.
uint64_t ParseBytes(const std::string& text, const std::string& flag);

struct RunFlags {
  ModelFlag model;
  ModelRunnerOptions options;  // filled by Options(); the flags below are raw
  std::vector<std::string> rank_memory;
  std::string cache_dir;
  bool no_cache = false;
  std::string output_dir;
  std::string weights = "auto";
  std::string capture_graph;
  bool json = false;

  void Add(CLI::App& app);
  // The runner's options, checked for what no later stage checks. Throws core::Error.
  ModelRunnerOptions Options() const;
  // Creates --output-dir. Throws core::Error when it cannot be written.
  void PrepareOutputDir() const;
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_RUN_FLAGS_H_
