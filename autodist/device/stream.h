// Where kernels run, and in what order.
#ifndef AUTODIST_DEVICE_STREAM_H_
#define AUTODIST_DEVICE_STREAM_H_

#include <cstddef>
#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/device/op_log.h"
#include "autodist/device/thread_pool.h"
#include "autodist/device/topology.h"

namespace autodist::device {

// An in-order queue over the threads of one rank; every kernel takes it first. On the host the work
// is done when the kernel's function returns. Thread-compatible: one rank thread uses it at a time.
// The pool must outlive it.
class Stream {
 public:
  // `isa` decides which kernels run, and with them the last bits of results. REQUIRES that the CPU
  // supports it. `deterministic`: kernels take the same path however many rows there are.
  Stream(ThreadPool& pool, Isa isa, bool deterministic = false);

  ThreadPool& pool() const { return pool_; }
  Isa isa() const { return isa_; }
  bool deterministic() const { return deterministic_; }

  // Where kernels record themselves; null (the default): nowhere. The log must outlive its use.
  OpLog* log() const { return log_; }
  void set_log(OpLog* log) { log_ = log; }

  // Working memory of one worker, at least `bytes`, aligned to 64, contents arbitrary; valid until
  // the same worker asks again. Kept between calls, so that steady work allocates nothing. Called
  // by that worker, or by the caller of Run() while no worker runs. Throws core::Error when out of
  // memory.
  void* Scratch(int worker, size_t bytes);
  // The same for memory that all workers share; asked for by the caller of Run().
  void* SharedScratch(size_t bytes) { return Grow(shared_scratch_, bytes); }

 private:
  static void* Grow(Buffer& buffer, size_t bytes);

  ThreadPool& pool_;
  Isa isa_;
  bool deterministic_;
  OpLog* log_ = nullptr;
  std::vector<Buffer> scratch_;  // per worker
  Buffer shared_scratch_;
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_STREAM_H_
