#include "autodist/device/thread_pool.h"

#include <immintrin.h>

#include <chrono>
#include <system_error>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist::device {
namespace {

// Longer than the gap between two kernels of one layer, shorter than what a sleeping core would
// gain.
constexpr std::chrono::microseconds kSpin{40};

// Returns once `value` differs from `old`.
void AwaitChange(const std::atomic<uint32_t>& value, uint32_t old) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) : offers_(static_cast<size_t>(threads)) {
  AUTODIST_CHECK_GE(threads, 1);
  const int log_rank = core::LogRank();
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int worker = 1; worker < threads; ++worker) {
      workers_.emplace_back([this, worker, log_rank] {
        core::SetLogRank(log_rank);
        WorkerLoop(worker);
      });
    }
  } catch (const std::system_error& error) {
    const size_t started = workers_.size();
    Stop();
    throw core::RuntimeFailure("cannot start thread {} of {}: {}", started + 2, threads,
                               error.what());
  }
}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::MakeOffers(Erased function, const void* context) {
  function_ = function;
  context_ = context;
  pending_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  if (round == 0) round = 1;
  for (size_t worker = 1; worker <= workers_.size(); ++worker) {
    offers_[worker].round.store(round, std::memory_order_release);
  }
  round_.store(round, std::memory_order_release);
  round_.notify_all();
}

bool ThreadPool::Take(int worker, uint32_t round) {
  return offers_[static_cast<size_t>(worker)].round.compare_exchange_strong(
      round, 0, std::memory_order_acq_rel);
}

void ThreadPool::Stop() {
  MakeOffers(nullptr, nullptr);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Invoke(int worker) {
  try {
    function_(context_, worker);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    failure_ = std::current_exception();
  }
}

void ThreadPool::RunErased(Erased function, const void* context) {
  if (workers_.empty()) {
    function(context, 0);
    return;
  }
  MakeOffers(function, context);
  Invoke(0);
  const uint32_t round = round_.load(std::memory_order_relaxed);
  for (int worker = 1; worker < threads(); ++worker) {
    if (!Take(worker, round)) continue;
    Invoke(worker);
    pending_.fetch_sub(1, std::memory_order_relaxed);
  }
  for (uint32_t left = pending_.load(std::memory_order_acquire); left != 0;
       left = pending_.load(std::memory_order_acquire)) {
    AwaitChange(pending_, left);
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::WorkerLoop(int worker) {
  for (uint32_t seen = 0;;) {
    AwaitChange(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (!Take(worker, seen)) continue;  // the caller was quicker
    if (function_ == nullptr) return;
    Invoke(worker);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

}  // namespace autodist::device
