#include "autodist/checkpoint/shard_cache.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "autodist/checkpoint/cache_inventory.h"
#include "autodist/core/error.h"
#include "autodist/core/file_lock.h"
#include "autodist/core/log.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;

// Pages, names and manifest beside the blobs themselves.
constexpr uint64_t kSlackBytes = uint64_t{1} << 20;

void WarnOnce(std::atomic<bool>& warned, const std::string& reason) {
  if (!warned.exchange(true)) core::Log("warning: going on without the shard cache: {}", reason);
}

// Creates what is missing; empty when the directory can be written, else why not.
std::string Unusable(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return error.message();
  if (!fs::is_directory(directory, error)) return "is not a directory";
  if (::access(directory.c_str(), W_OK | X_OK) != 0) return std::strerror(errno);
  return "";
}

// The rank's own files, half-written ones of dead jobs included. REQUIRES the lock is held. The
// manifest goes first: a crash in between leaves no complete-looking shard.
void RemoveShard(const fs::path& entry_dir, int rank) {
  fs::remove(entry_dir / ManifestName(rank));
  fs::remove(entry_dir / DataName(rank));
  for (const auto& file : fs::directory_iterator(entry_dir)) {
    const std::string name = file.path().filename().string();
    if (name != LockName(rank) && RankOfFileName(name) == rank) fs::remove(file.path());
  }
}

// Makes the directory of the lock too. Whoever cleans the cache takes an empty one away, perhaps
// before the lock is in it.
std::optional<core::FileLock> TryLock(const fs::path& entry_dir, int rank, std::string& holder) {
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    try {
      fs::create_directories(entry_dir);
      return core::FileLock::TryAcquire(entry_dir / LockName(rank), holder);
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::no_such_file_or_directory || attempt == kAttempts) throw;
    }
  }
}

}  // namespace

std::optional<fs::path> DefaultCacheDirectory() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return fs::path(xdg) / "autodist";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return fs::path(home) / ".cache" / "autodist";
  return std::nullopt;
}

ShardCache::ShardCache(const ShardCacheOptions& options)
    : given_(options.directory.has_value()),
      wait_limit_s_(options.wait_limit_s),
      warned_(std::make_shared<std::atomic<bool>>(false)) {
  const auto directory = given_ ? options.directory : DefaultCacheDirectory();
  if (!directory) {
    GoOnWithout("neither XDG_CACHE_HOME nor HOME is an absolute path");
    return;
  }
  const std::string fault = Unusable(*directory);
  if (fault.empty()) {
    directory_ = *directory;
  } else if (given_) {
    throw core::BadInput("cache directory {}: cannot be created or written: {}",
                         directory->string(), fault);
  } else {
    GoOnWithout(fmt::format("{}: cannot be created or written: {}", directory->string(), fault));
  }
}

void ShardCache::GoOnWithout(const std::string& reason) const { WarnOnce(*warned_, reason); }

ShardCache::Access ShardCache::Acquire(const ShardKey& key, int rank, uint64_t blob_bytes,
                                       bool rebuild) {
  if (!enabled()) return {};
  const fs::path entry_dir = directory_ / key.EntryName();
  const std::string key_hash = key.Hash();
  // Before the lock, so that a complete cache works where nothing can be written.
  if (!rebuild) {
    if (ShardLoad found = LoadShard(entry_dir, key_hash, rank); found.shard)
      return {std::move(found.shard), {}};
  }
  try {
    std::optional<core::FileLock> lock = WaitForLock(entry_dir, rank);
    if (!lock) return {};
    // Whoever held the lock has built it by now, or has left a piece.
    ShardLoad found = LoadShard(entry_dir, key_hash, rank);
    if (found.shard && !rebuild) return {std::move(found.shard), {}};
    if (!found.fault.empty())
      core::Log("the cached shard {} is built again: {}", (entry_dir / DataName(rank)).string(),
                found.fault);
    found.shard.reset();
    RemoveShard(entry_dir, rank);
    RemoveOutdatedEntries(directory_, key);
    return {std::nullopt, StartWriter(entry_dir, key, rank, blob_bytes, *std::move(lock))};
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    if (given_ && code != ENOSPC && code != EDQUOT)
      throw core::BadInput("cache directory {}: cannot be written: {}", directory_.string(),
                           error.what());
    GoOnWithout(error.what());
  }
  return {};
}

std::optional<core::FileLock> ShardCache::WaitForLock(const fs::path& entry_dir, int rank) const {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  auto pause = std::chrono::milliseconds(5);
  bool told = false;
  while (true) {
    std::string holder;
    std::optional<core::FileLock> lock = TryLock(entry_dir, rank, holder);
    if (lock) {
      if (!holder.empty())
        core::Log("{} died while it created {}", holder, (entry_dir / DataName(rank)).string());
      return lock;
    }
    const double waited_s = std::chrono::duration<double>(Clock::now() - start).count();
    if (waited_s >= wait_limit_s_) {
      GoOnWithout(fmt::format("{} is still being created by {} after {:.0f} s",
                              (entry_dir / DataName(rank)).string(), holder, waited_s));
      return std::nullopt;
    }
    if (!std::exchange(told, true))
      core::Log("Waiting for rank {} of another job ({}) to create the shard {} ...", rank, holder,
                (entry_dir / DataName(rank)).string());
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(500));
  }
}

std::optional<ShardWriter> ShardCache::StartWriter(const fs::path& entry_dir, const ShardKey& key,
                                                   int rank, uint64_t blob_bytes,
                                                   core::FileLock lock) const {
  struct statvfs disk {};
  if (::statvfs(entry_dir.c_str(), &disk) == 0) {
    const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    if (blob_bytes + kSlackBytes > free_bytes) {
      GoOnWithout(fmt::format("{}: the shard needs {} bytes, {} are free", entry_dir.string(),
                              blob_bytes + kSlackBytes, free_bytes));
      return std::nullopt;
    }
  }
  ShardManifest manifest;
  manifest.key = key;
  manifest.key_hash = key.Hash();
  manifest.host = core::HostName();
  manifest.rank = rank;
  return std::optional<ShardWriter>(
      std::in_place, entry_dir, std::move(manifest), std::move(lock),
      [warned = warned_](const std::string& reason) { WarnOnce(*warned, reason); });
}

}  // namespace autodist::checkpoint
