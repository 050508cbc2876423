#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/checkpoint/cache_inventory.h"
#include "autodist/checkpoint/shard_cache.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/summary.h"
#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::cli {
namespace {

class CacheCommand final : public Command {
 public:
  const char* name() const override { return "cache"; }
  const char* summary() const override { return "List, verify or clean the shard cache"; }
  void AddFlags(CLI::App& app) override;
  void Prepare() override;
  int Run() override;

 private:
  int List() const;
  int Verify() const;
  int Clean() const;

  std::string action_;
  std::optional<std::string> cache_dir_;
  std::string match_;
  bool json_ = false;
  std::filesystem::path directory_;
};

core::Json ProblemsJson(const std::vector<checkpoint::CacheProblem>& problems) {
  core::Json list = core::Json::array();
  for (const checkpoint::CacheProblem& problem : problems)
    list.push_back({{"path", problem.path.string()}, {"what", problem.what}});
  return list;
}

void PrintProblems(const std::vector<checkpoint::CacheProblem>& problems) {
  for (const checkpoint::CacheProblem& problem : problems)
    PrintLine("{}: {}", problem.path.string(), problem.what);
}

void CacheCommand::AddFlags(CLI::App& app) {
  AddText(app, "ls|verify|clean", action_, "");
  SetFooter(app, "ls lists what is there, verify reads every byte, clean removes entries.");
  AddText(app, "--cache-dir", cache_dir_, "The cache (default: $XDG_CACHE_HOME/autodist)")
      .Type("DIR");
  AddText(app, "--match", match_, "clean: only entries whose name contains this text").Type("TEXT");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document");
}

void CacheCommand::Prepare() {
  if (action_ != "ls" && action_ != "verify" && action_ != "clean")
    throw core::BadInput("cache takes ls, verify or clean, not \"{}\"", action_);
  if (!match_.empty() && action_ != "clean") throw core::BadInput("--match is for clean only");
  const std::optional<std::filesystem::path> standard = checkpoint::DefaultCacheDirectory();
  if (!cache_dir_ && !standard)
    throw core::BadInput(
        "--cache-dir is needed: neither XDG_CACHE_HOME nor HOME holds an absolute path");
  directory_ = cache_dir_ ? std::filesystem::path(*cache_dir_) : *standard;
  if (cache_dir_ && !std::filesystem::is_directory(directory_))
    throw core::BadInput("--cache-dir {}: is no directory", directory_.string());
}

int CacheCommand::Run() {
  if (action_ == "ls") return List();
  return action_ == "verify" ? Verify() : Clean();
}

int CacheCommand::List() const {
  const std::vector<checkpoint::CacheEntry> entries = checkpoint::ListCache(directory_);
  if (json_) {
    core::Json list = core::Json::array();
    for (const checkpoint::CacheEntry& entry : entries)
      list.push_back({{"name", entry.path.filename().string()},
                      {"model", entry.key.source},
                      {"dtype", entry.key.dtype},
                      {"isa", entry.key.isa},
                      {"world", entry.key.world},
                      {"ranks", entry.ranks},
                      {"bytes", entry.bytes}});
    const core::Json document = {{"directory", directory_.string()}, {"entries", list}};
    PrintJson(document);
    return 0;
  }
  uint64_t bytes = 0;
  for (const checkpoint::CacheEntry& entry : entries) {
    bytes += entry.bytes;
    PrintLine("{}  {}, {} of {} ranks, {} for {}, of {}", entry.path.filename().string(),
              ByteText(entry.bytes), entry.ranks.size(), entry.key.world, entry.key.dtype,
              entry.key.isa, entry.key.source.empty() ? "an unknown model" : entry.key.source);
  }
  PrintLine("{}: {} {}, {}", directory_.string(), entries.size(),
            entries.size() == 1 ? "entry" : "entries", ByteText(bytes));
  return 0;
}

int CacheCommand::Verify() const {
  const checkpoint::CacheVerification result = checkpoint::VerifyCache(directory_);
  if (json_) {
    const core::Json document = {{"directory", directory_.string()},
                                 {"good_shards", result.good_shards},
                                 {"good_bytes", result.good_bytes},
                                 {"problems", ProblemsJson(result.problems)}};
    PrintJson(document);
  } else {
    PrintProblems(result.problems);
    PrintLine("{}: {} good shards, {}; {} problems", directory_.string(), result.good_shards,
              ByteText(result.good_bytes), result.problems.size());
  }
  return result.problems.empty() ? 0 : 1;
}

int CacheCommand::Clean() const {
  const checkpoint::CacheCleaning result = checkpoint::CleanCache(directory_, match_);
  if (json_) {
    const core::Json document = {{"directory", directory_.string()},
                                 {"removed", result.removed},
                                 {"removed_bytes", result.removed_bytes},
                                 {"kept", ProblemsJson(result.kept)}};
    PrintJson(document);
  } else {
    for (const std::string& name : result.removed) PrintLine("removed {}", name);
    PrintProblems(result.kept);
    PrintLine("{}: {} removed, {}", directory_.string(), result.removed.size(),
              ByteText(result.removed_bytes));
  }
  return result.kept.empty() ? 0 : 1;
}

}  // namespace

std::unique_ptr<Command> MakeCacheCommand() { return std::make_unique<CacheCommand>(); }

}  // namespace autodist::cli
