// The threads of one rank.
//
// The thread that calls Run() is worker 0; a pool of n threads owns n - 1 more. Idle workers spin
// for some tens of microseconds (kernels follow each other closely) and then sleep. The caller does
// the share of a worker that has not come by the time its own is done, so a busy machine or more
// threads than cores cost little: nobody waits for a thread that does not run.
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

  // Calls function(worker) once for each of the workers [0, threads()) and returns when all have
  // returned; what they wrote is then visible here. function(0) runs on this thread, the others on
  // their worker's thread or on this one, at any time: they must not wait for each other. If any
  // throws, one of the exceptions is rethrown after all have ended.
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
  void MakeOffers(Erased function, const void* context);
  bool Take(int worker, uint32_t round);
  void Invoke(int worker);
  void Stop();

  // What a worker may take: the number of the round, or 0 when it or the caller has taken it.
  struct alignas(64) Offer {
    std::atomic<uint32_t> round{0};
  };

  // The caller publishes function_ and context_ by making offers; who takes one lowers pending_
  // when it is done. A worker reads the two only after it has taken an offer, and the caller
  // changes them only when all are taken and done.
  Erased function_ = nullptr;
  const void* context_ = nullptr;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::vector<Offer> offers_;                   // one of each worker; [0] is not used
  alignas(64) std::atomic<uint32_t> round_{0};  // raised to wake the workers
  alignas(64) std::atomic<uint32_t> pending_{0};
  std::vector<std::thread> workers_;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_THREAD_POOL_H_
