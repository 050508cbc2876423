// The threads of one rank.
//
// The thread that calls Run() is worker 0; a pool of n threads owns n - 1 more. Idle workers spin
// for some tens of microseconds (kernels follow each other closely) and then sleep, so more threads
// than cores works, only slower.
#ifndef AUTODIST_DEVICE_THREAD_POOL_H_
#define AUTODIST_DEVICE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace autodist::device {

// Thread-compatible: one thread at a time calls Run() or ParallelFor(), and never from inside the
// function that runs.
class ThreadPool {
 public:
  // Starts threads - 1 workers, which log under the rank of the calling thread. REQUIRES threads
  // >= 1. Throws core::Error (runtime) when the system refuses another thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();  // joins the workers
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls function(worker) once on each of the workers [0, threads()) and returns when all have
  // returned; what they wrote is then visible here. If any throws, one of the exceptions is
  // rethrown after all have ended.
  template <typename Function>
  void Run(const Function& function) {
    RunErased(
        [](const void* context, int worker) { (*static_cast<const Function*>(context))(worker); },
        &function);
  }

  // Calls function(begin, end, worker) with the workers' shares of [0, count): contiguous, in
  // worker order, equal but for one. Workers without a share are not called.
  template <typename Function>
  void ParallelFor(int64_t count, const Function& function) {
    if (threads() == 1 || count <= 1) {
      if (count > 0) function(int64_t{0}, count, 0);
      return;
    }
    Run([&](int worker) {
      const int64_t begin = count * worker / threads();
      const int64_t end = count * (worker + 1) / threads();
      if (begin < end) function(begin, end, worker);
    });
  }

 private:
  using Erased = void (*)(const void* context, int worker);

  void RunErased(Erased function, const void* context);
  void WorkerLoop(int worker);
  void Invoke(int worker);
  void Stop();

  // The caller publishes function_ and context_ by raising round_; workers report by lowering
  // pending_.
  Erased function_ = nullptr;
  const void* context_ = nullptr;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  alignas(64) std::atomic<int> round_{0};
  alignas(64) std::atomic<int> pending_{0};
  std::vector<std::thread> workers_;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_THREAD_POOL_H_
