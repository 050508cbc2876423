// A lock file that vanishes with its owner.
//
// The owner holds flock() on the file, so the kernel frees the lock the moment the owner dies,
// however it dies, also in another container; pid and host are written into the file for messages
// only. The file is removed on release.
// On a file system without flock() every caller gets the lock.
#ifndef AUTODIST_CORE_FILE_LOCK_H_
#define AUTODIST_CORE_FILE_LOCK_H_

#include <filesystem>
#include <optional>
#include <string>

namespace autodist::core {

// Movable; releases itself. Locks taken by threads of one process exclude each other too.
class FileLock {
 public:
  // Tries once, without waiting, except a second at most for what a dead owner was just starting.
  // nullopt: somebody else holds it, and `holder` says who ("pid 123", "pid 123 on host-b"). When
  // the file was left by a dead owner, the lock is taken over and `holder` names the dead one; else
  // `holder` is empty. Throws std::system_error when the file cannot be created.
  static std::optional<FileLock> TryAcquire(const std::filesystem::path& path, std::string& holder);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

 private:
  FileLock(std::filesystem::path path, int descriptor);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

std::string HostName();

}  // namespace autodist::core

#endif  // AUTODIST_CORE_FILE_LOCK_H_
