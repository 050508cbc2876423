// A file descriptor that closes itself.
#ifndef AUTODIST_CORE_UNIQUE_FD_H_
#define AUTODIST_CORE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace autodist::core {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { Close(); }

  int get() const { return fd_; }  // -1: none

 private:
  void Close() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd_ = -1;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_UNIQUE_FD_H_
