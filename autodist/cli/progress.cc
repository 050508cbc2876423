#include "autodist/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "autodist/cli/summary.h"
#include "autodist/core/log.h"

namespace autodist::cli {
namespace {

void WriteError(const std::string& text) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void ProgressLine::Update(std::string_view text) {
  const auto now = std::chrono::steady_clock::now();
  if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  visible_ = true;
  WriteError(fmt::format("\r\x1b[K{}", text));
}

void ProgressLine::Clear() {
  if (visible_) WriteError("\r\x1b[K");
  visible_ = false;
}

std::function<void(uint64_t done, uint64_t total)> LoadProgress(ProgressLine& line) {
  return [&line](uint64_t done, uint64_t total) {
    // Rank 0 (-1: a process of one rank) is enough, also where ranks are processes on one terminal.
    if (core::LogRank() <= 0)
      line.Update(fmt::format("loading: {} of {}", ByteText(done), ByteText(total)));
  };
}

}  // namespace autodist::cli
