#include "autodist/checkpoint/cache_inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "autodist/checkpoint/mapped_shard.h"
#include "autodist/core/error.h"
#include "autodist/core/file_lock.h"
#include "autodist/core/log.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;

bool IsEntryName(std::string_view name) {
  constexpr size_t kDigits = 16;
  if (name.size() < kDigits + 2 || name[name.size() - kDigits - 1] != '-') return false;
  return name.substr(name.size() - kDigits).find_first_not_of("0123456789abcdef") == name.npos;
}

// Names in a directory, sorted. A directory that vanished meanwhile is empty.
std::vector<std::string> NamesIn(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    throw core::BadInput("{}: cannot be listed: {}", directory.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

// Directories that look like entries; links are not followed.
std::vector<fs::path> EntryDirectories(const fs::path& cache_dir) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (const auto& name : NamesIn(cache_dir)) {
    fs::path path = cache_dir / name;
    if (IsEntryName(name) && fs::is_directory(fs::symlink_status(path, ignored)))
      entries.push_back(std::move(path));
  }
  return entries;
}

// A regular file that is empty (a job died before its first write) or begins with one of our marks.
bool IsOurs(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(fs::symlink_status(path, ignored))) return false;
  std::ifstream in(path, std::ios::binary);
  std::string start(32, '\0');
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(in.gcount()));
  return start.empty() || start.starts_with(kShardMagic) || start.starts_with("autodist-lock") ||
         start.starts_with(fmt::format("{{\"format\":\"{}\"", kShardMagic));
}

std::map<int, std::vector<std::string>> FilesByRank(const fs::path& entry) {
  std::map<int, std::vector<std::string>> files;
  for (auto& name : NamesIn(entry))
    if (const auto rank = RankOfFileName(name)) files[*rank].push_back(std::move(name));
  return files;
}

void Remove(const fs::path& path, CacheCleaning& report) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  const bool counted = !error;
  if (fs::remove(path, error)) {
    if (counted) report.removed_bytes += bytes;
  } else if (error) {
    report.kept.push_back({path, error.message()});
  }
}

void CleanEntry(const fs::path& entry, CacheCleaning& report) {
  for (const auto& [rank, names] : FilesByRank(entry)) {
    std::string holder;
    std::optional<core::FileLock> lock;
    try {
      lock = core::FileLock::TryAcquire(entry / LockName(rank), holder);
    } catch (const std::system_error& error) {
      report.kept.push_back({entry, error.what()});
      continue;
    }
    if (!lock) {
      report.kept.push_back({entry / DataName(rank), fmt::format("{} is creating it", holder)});
      continue;
    }
    for (const auto& name : names) {
      if (name == LockName(rank)) continue;  // the lock removes it
      if (IsOurs(entry / name)) {
        Remove(entry / name, report);
      } else {
        report.kept.push_back({entry / name, "was not written by autodist"});
      }
    }
  }
  std::error_code error;
  if (fs::remove(entry, error)) {
    report.removed.push_back(entry.filename().string());
    return;
  }
  for (const auto& name : NamesIn(entry))
    if (!RankOfFileName(name)) report.kept.push_back({entry / name, "was not written by autodist"});
}

}  // namespace

std::vector<CacheEntry> ListCache(const fs::path& cache_dir) {
  std::vector<CacheEntry> entries;
  for (const auto& path : EntryDirectories(cache_dir)) {
    CacheEntry entry;
    entry.path = path;
    for (const auto& [rank, names] : FilesByRank(path)) {
      for (const auto& name : names) {
        std::error_code error;
        const uint64_t bytes = fs::file_size(path / name, error);
        if (!error) entry.bytes += bytes;
        if (name != ManifestName(rank)) continue;
        try {
          ShardManifest manifest = ReadManifest(path / name);
          if (entry.ranks.empty()) entry.key = std::move(manifest.key);
          entry.ranks.push_back(rank);
        } catch (const core::Error&) {  // listed without it; verify says what is wrong
        }
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

CacheVerification VerifyCache(const fs::path& cache_dir) {
  CacheVerification result;
  for (const auto& entry : EntryDirectories(cache_dir)) {
    const std::string name = entry.filename().string();
    for (const auto& [rank, names] : FilesByRank(entry)) {
      if (std::find(names.begin(), names.end(), LockName(rank)) != names.end()) {
        std::string holder;
        std::error_code ignored;
        // Taken for a look only, and not where it would create the file.
        const auto lock = core::FileLock::TryAcquire(entry / LockName(rank), holder);
        if (!lock) continue;
      }
      const fs::path manifest_path = entry / ManifestName(rank);
      try {
        const ShardManifest manifest = ReadManifest(manifest_path);
        if (!name.ends_with(fmt::format("-{}", manifest.key_hash.substr(0, 16)))) {
          result.problems.push_back({manifest_path, "its key is not that of the directory"});
          continue;
        }
        const ShardLoad load = LoadShard(entry, manifest.key_hash, rank);
        if (load.shard) {
          ++result.good_shards;
          result.good_bytes += manifest.file_bytes;
        } else {
          result.problems.push_back({entry / DataName(rank), load.fault});
        }
      } catch (const core::Error& error) {
        result.problems.push_back({entry / DataName(rank), error.what()});
      }
    }
  }
  return result;
}

CacheCleaning CleanCache(const fs::path& cache_dir, std::string_view filter) {
  CacheCleaning report;
  for (const auto& entry : EntryDirectories(cache_dir))
    if (entry.filename().string().find(filter) != std::string::npos) CleanEntry(entry, report);
  return report;
}

void RemoveOutdatedEntries(const fs::path& cache_dir, const ShardKey& key) {
  for (const auto& entry : EntryDirectories(cache_dir)) {
    if (!entry.filename().string().starts_with(fmt::format("{}-", key.model))) continue;
    for (const auto& [rank, names] : FilesByRank(entry)) {
      try {
        const ShardManifest manifest = ReadManifest(entry / ManifestName(rank));
        if (manifest.host == core::HostName() && manifest.key.source == key.source &&
            manifest.key.fingerprint != key.fingerprint) {
          CacheCleaning cleaning;
          CleanEntry(entry, cleaning);
          // Ranks that start together clean together; one of them removes the entry.
          if (!cleaning.removed.empty())
            core::Log("removed {}: made from an earlier state of {}", entry.string(), key.source);
        }
        break;                        // all manifests of an entry carry the same key
      } catch (const core::Error&) {  // no manifest of this rank: it says nothing
      }
    }
  }
}

}  // namespace autodist::checkpoint
