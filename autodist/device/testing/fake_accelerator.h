// For tests: an accelerator in host memory that does as little as the contract allows.
//
// Queued work runs only when somebody waits for it, or asks an event that is not reached yet, so
// that a missing Synchronize() shows every time, not once in a hundred runs. Fresh memory is full
// of 0xcd. A copy from or to memory that is not the accelerator's, or not any more, fails a CHECK.
#ifndef AUTODIST_DEVICE_TESTING_FAKE_ACCELERATOR_H_
#define AUTODIST_DEVICE_TESTING_FAKE_ACCELERATOR_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "autodist/device/accelerator.h"

namespace autodist::device::testing {

struct FakeOptions {
  int index = 0;
  int id = 0;                       // equal: the same device
  uint64_t memory_bytes = 1 << 20;  // MemoryState::total_bytes
  uint64_t graph_bytes = 256;       // of it, that each graph takes while it lives
};

class FakeAccelerator final : public Accelerator {
 public:
  explicit FakeAccelerator(const FakeOptions& options = {});
  ~FakeAccelerator() override;

  // A kernel. The queue calls `step` when it comes to it, and again until it returns true. While a
  // graph is captured it is recorded; then each replay calls it.
  static void Launch(Queue& queue, std::function<bool()> step);

  // From now on every call throws DeviceLost, waits that are under way included.
  void Lose(const std::string& reason);
  // Whether [data, data + bytes) lies in one piece of memory of `kind`, or of any.
  bool Owns(const void* data, size_t bytes, std::optional<MemoryKind> kind = std::nullopt);
  int live_graphs() const { return live_graphs_; }
  // Whether this thread has called BindThread(); one that uses two accelerators is not told apart.
  bool bound_here();

  const AcceleratorInfo& info() const override { return info_; }
  MemoryState memory() override;
  void BindThread() override;
  std::unique_ptr<Queue> CreateQueue() override;
  std::unique_ptr<Event> CreateEvent() override;

 protected:
  void* DoAllocate(MemoryKind kind, size_t bytes) override;
  void DoFree(MemoryKind kind, void* data) noexcept override;

 private:
  friend class FakeQueue;
  friend class FakeEvent;
  friend class FakeGraph;

  struct Piece {
    MemoryKind kind;
    size_t bytes;
  };

  void CheckAlive();
  // Throws, and breaks the capture, when this thread captures a graph.
  void RefuseInCapture(const char* call);
  // Runs what can run, on all queues.
  void Advance();
  bool Take(uint64_t device_bytes);

  const FakeOptions options_;
  AcceleratorInfo info_;
  std::recursive_mutex mutex_;  // over everything below; a kernel may ask Owns()
  std::optional<std::string> lost_;
  uint64_t used_bytes_ = 0;
  int live_graphs_ = 0;
  std::map<const std::byte*, Piece> pieces_;
  std::set<std::thread::id> bound_threads_;
  std::vector<class FakeQueue*> queues_;
};

}  // namespace autodist::device::testing

#endif  // AUTODIST_DEVICE_TESTING_FAKE_ACCELERATOR_H_
