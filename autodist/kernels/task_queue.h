// Hands tasks to threads, and tells each what it does next, so that it can ask for that early.
#ifndef AUTODIST_KERNELS_TASK_QUEUE_H_
#define AUTODIST_KERNELS_TASK_QUEUE_H_

#include <atomic>
#include <cstddef>

namespace autodist::kernels {

// For one call: every thread calls Work() once.
class TaskQueue {
 public:
  TaskQueue(size_t tasks, int threads) : tasks_(tasks), threads_(static_cast<size_t>(threads)) {}

  // Calls run(task, next) for tasks that no other thread gets, until none is left. `next` is the
  // one that the same thread gets afterwards, or the number of tasks where that is open: the last
  // ones go to who is free, as a task taken early would wait while another thread has none.
  template <typename Run>
  void Work(const Run& run) {
    for (size_t task = Take(); task < tasks_;) {
      const bool many_left = next_.load() + threads_ <= tasks_;
      const size_t early = many_left ? Take() : tasks_;
      run(task, early < tasks_ ? early : tasks_);
      task = many_left ? early : Take();
    }
  }

 private:
  size_t Take() { return next_.fetch_add(1); }

  size_t tasks_;
  size_t threads_;
  std::atomic<size_t> next_{0};
};

}  // namespace autodist::kernels

#endif  // AUTODIST_KERNELS_TASK_QUEUE_H_
