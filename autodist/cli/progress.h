// One line on stderr that is rewritten as work goes on.
#ifndef AUTODIST_CLI_PROGRESS_H_
#define AUTODIST_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace autodist::cli {

// At most ten updates a second reach the terminal. Destroyed, it leaves no line behind. One thread.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Update(std::string_view text);
  void Clear();  // before something else is written to the terminal

 private:
  bool shown_;
  bool visible_ = false;
  std::chrono::steady_clock::time_point last_;
};

// For RunOptions::on_load_progress: rank 0's part of the loading moves `line`, which must outlive
// the load.
std::function<void(uint64_t done, uint64_t total)> LoadProgress(ProgressLine& line);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_PROGRESS_H_
