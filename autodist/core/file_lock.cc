#include "autodist/core/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

namespace autodist::core {
namespace {

constexpr std::string_view kMagic = "autodist-lock pid ";  // by which our files are known

struct Holder {
  std::string name;      // "pid 123", with the host when it is not this one
  bool is_dead = false;  // known only of this host's
};

// An empty name when the owner has not written it (yet).
Holder ReadHolder(int descriptor) {
  std::array<char, 512> text;
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  const std::string_view line(text.data(), got > 0 ? static_cast<size_t>(got) : 0);
  const size_t host = line.find(" host ");
  const size_t end = line.find('\n');
  if (!line.starts_with(kMagic) || host == line.npos || end == line.npos || host + 6 > end)
    return {};
  const std::string_view name = line.substr(host + 6, end - host - 6);
  const std::string_view pid = line.substr(kMagic.size(), host - kMagic.size());
  if (name != HostName()) return {fmt::format("pid {} on {}", pid, name)};
  pid_t number = 0;
  std::from_chars(pid.data(), pid.data() + pid.size(), number);
  return {fmt::format("pid {}", pid), number > 0 && ::kill(number, 0) != 0 && errno == ESRCH};
}

bool StillNamed(const std::filesystem::path& path, int descriptor) {
  struct stat mine {};
  struct stat named {};
  return ::fstat(descriptor, &mine) == 0 && ::stat(path.c_str(), &named) == 0 &&
         mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

}  // namespace

std::string HostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data())
                                                          : std::string("unknown");
}

FileLock::FileLock(std::filesystem::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  // Removed while still locked: who waits on this inode sees that the name is gone and starts
  // again.
  if (StillNamed(path_, descriptor_)) ::unlink(path_.c_str());
  ::close(descriptor_);
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::optional<FileLock> FileLock::TryAcquire(const std::filesystem::path& path,
                                             std::string& holder) {
  holder.clear();
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int descriptor =
        ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), path.string());
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      const Holder found = ReadHolder(descriptor);
      ::close(descriptor);
      if (found.is_dead) {  // a process it was just starting has the descriptor until it executes
        holder = fmt::format("a process that {} started before it died", found.name);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      holder = found.name.empty() ? "an unknown pid" : found.name;
      return std::nullopt;
    }
    if (!StillNamed(path, descriptor)) {  // its owner removed it between our open and flock
      ::close(descriptor);
      continue;
    }
    holder = ReadHolder(descriptor).name;
    const std::string line = fmt::format("{}{} host {}\n", kMagic, ::getpid(), HostName());
    // Only messages depend on the text: a full disk must not keep us from taking the lock.
    if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]]
      const ssize_t ignored = ::pwrite(descriptor, line.data(), line.size(), 0);
    return FileLock(path, descriptor);
  }
  if (holder.empty()) holder = "several jobs";  // that take and release it faster than we look
  return std::nullopt;
}

}  // namespace autodist::core
