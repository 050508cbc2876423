// The flags that every command with a model and a mesh shares.
#ifndef AUTODIST_CLI_RUN_FLAGS_H_
#define AUTODIST_CLI_RUN_FLAGS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/infer/model_runner.h"

namespace CLI {
class App;
}  // namespace CLI

namespace autodist::cli {

// Which model: --model or the first argument, else the bundled one.
struct ModelFlag {
  std::string model;

  void Add(CLI::App& app);
  // The word as given, or the directory of the bundled model. Throws core::Error when that is not
  // installed.
  std::string Resolve() const;
};

// Parses "8G", "512M", "1.5GiB" or plain bytes; K, M, G, T are powers of 1024. Throws core::Error
// naming `flag`.
uint64_t ParseBytes(const std::string& text, const std::string& flag);
// "8G,16G"
std::vector<uint64_t> ParseByteList(const std::string& text, const std::string& flag);

class RunFlags {
 public:
  void Add(CLI::App& app);
  // The runner's options, checked for what no later stage checks. Throws core::Error.
  ModelRunnerOptions Options() const;
  // Creates --output-dir. Throws core::Error when it cannot be written.
  void PrepareOutputDir() const;

  // Where the file of a flag goes: under --output-dir when that is given. Throws core::Error when
  // `name` leads out of it.
  std::filesystem::path OutputFile(const std::string& name, std::string_view flag) const;

  const std::string& output_dir() const { return output_dir_; }
  bool json() const { return json_; }

 private:
  void AddMeshFlags(CLI::App& app);
  void AddExecutionFlags(CLI::App& app);
  void AddCacheAndOutputFlags(CLI::App& app);

  ModelRunnerOptions options_;  // as far as the flags are its fields
  ModelFlag model_;
  std::optional<int> ranks_;
  std::optional<int> local_rank_;
  std::optional<int> world_size_;
  std::optional<int> threads_;
  std::optional<int64_t> micro_batch_size_;
  std::optional<int64_t> max_model_len_;
  std::string rank_memory_;
  std::string cluster_file_;
  bool capture_graph_ = false;
  bool no_capture_graph_ = false;
  bool no_cache_ = false;
  std::optional<std::string> cache_dir_;
  std::string output_dir_;
  bool json_ = false;
  bool quiet_ = false;
};

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_RUN_FLAGS_H_
