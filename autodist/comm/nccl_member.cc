#include "autodist/comm/nccl_member.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/log.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kWatchPeriodS = 0.05;
// A watch that comes later than that was stopped with its process: that time does not count.
constexpr double kLongestLookS = 1.0;
constexpr double kLeaveLimitS = 1.0;
// Most answers come within microseconds; a group that forms, or a long queue, takes longer.
constexpr int kEagerPolls = 2000;

void Relax(int turn) {
  if (turn < kEagerPolls) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace

NcclMember::NcclMember(std::shared_ptr<NcclLibrary> library, device::Accelerator& accelerator,
                       Communicator& host, double timeout_s)
    : library_(std::move(library)), accelerator_(accelerator), host_(host), timeout_s_(timeout_s) {
  AUTODIST_CHECK_GE(host_.size(), 2);
  try {
    Join();
  } catch (const core::Error& error) {
    Fail(error);
  }
  watch_ = std::thread([this, log_rank = core::LogRank()] {
    core::SetLogRank(log_rank);
    Watch();
  });
}

NcclMember::~NcclMember() {
  {
    const std::lock_guard lock(stop_mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  watch_.join();
  if (std::uncaught_exceptions() == 0) LeaveInOrder();
  AbortHandle();
}

void NcclMember::Join() {
  RefuseSharedDevices();
  NcclId id;
  if (host_.rank() == 0) {
    const NcclCode code = library_->UniqueId(&id);
    if (code != kNcclSuccess) throw ErrorOf(code, "starting a group");
  }
  const auto bytes = static_cast<int64_t>(id.bytes.size());
  host_.Broadcast({id.bytes.data(), core::DType::kU8, 1, bytes}, 0).Wait();
  accelerator_.BindThread();
  NcclCode code;
  {
    const std::lock_guard lock(handle_mutex_);
    code = library_->Init(&handle_, host_.size(), id, host_.rank(), host_.name());
  }
  Await(code, "joining");
}

void NcclMember::RefuseSharedDevices() {
  const std::array<uint8_t, 16> mine = accelerator_.info().id;
  std::vector<std::array<uint8_t, 16>> ids(static_cast<size_t>(host_.size()));
  host_
      .AllGather({mine.data(), 1, static_cast<int64_t>(mine.size())},
                 {ids.front().data(), 1, static_cast<int64_t>(ids.size() * mine.size())})
      .Wait();
  for (size_t second = 1; second < ids.size(); ++second) {
    const auto first = std::find(ids.begin(), ids.end(), ids[second]);
    if (first == ids.begin() + static_cast<ptrdiff_t>(second)) continue;
    throw core::BadInput(
        "ranks {} and {} of group {} have the same GPU, and NCCL needs one for each rank",
        first - ids.begin(), second, host_.name());
  }
}

NcclCode NcclMember::Locked(const std::function<NcclCode(NcclHandle)>& call) {
  const std::lock_guard lock(handle_mutex_);
  if (failed_) host_.ThrowIfAborted();
  AUTODIST_CHECK(!failed_);
  return call(handle_);
}

void NcclMember::Await(NcclCode code, const std::string& what) {
  const Clock::time_point begin = Clock::now();
  for (int turn = 0; code == kNcclInProgress; ++turn) {
    if (Seconds(Clock::now() - begin).count() > timeout_s_)
      throw core::PeerLost("rank {} waited {:g} s for NCCL, {} group {} of {} ranks", host_.rank(),
                           timeout_s_, what, host_.name(), host_.size());
    host_.ThrowIfAborted();
    Relax(turn);
    code = Locked([this](NcclHandle handle) { return library_->AsyncError(handle); });
  }
  if (code != kNcclSuccess) throw ErrorOf(code, what);
}

core::Error NcclMember::ErrorOf(NcclCode code, const std::string& what) {
  const std::string text = fmt::format("NCCL failed on rank {} of group {}, {}: {}", host_.rank(),
                                       host_.name(), what, library_->Describe(code));
  return core::Error(
      code == kNcclRemoteError ? core::ErrorKind::kPeerLost : core::ErrorKind::kRuntime, text);
}

void NcclMember::Enqueue(device::Queue& queue, const Call& call,
                         const std::function<NcclCode(NcclHandle)>& start) {
  try {
    ++calls_;
    Await(Locked(start), call.Describe());
    // Work that is recorded has no place in the queue yet: who replays it waits by Synchronize().
    if (!queue.capturing()) SetMark(queue, call);
  } catch (const core::Error& error) {
    Fail(error);
  }
}

void NcclMember::Synchronize(device::Queue& queue) {
  try {
    const std::shared_ptr<device::Event> event = SetMark(queue, std::nullopt);
    for (int turn = 0; !event->Reached(); ++turn) {
      host_.ThrowIfAborted();
      Relax(turn);
    }
    // An abort, too, lets the queue go on: of this member, or of another one with the same queue,
    // which aborts the job before its handle.
    host_.ThrowIfAborted();
  } catch (const core::Error& error) {
    Fail(error);
  }
}

std::shared_ptr<device::Event> NcclMember::SetMark(device::Queue& queue, std::optional<Call> call) {
  const std::lock_guard lock(marks_mutex_);
  std::shared_ptr<device::Event> event;
  // A caller of Synchronize() may still look at a mark that the watch is done with.
  if (!spare_events_.empty() && spare_events_.back().use_count() == 1) {
    event = std::move(spare_events_.back());
    spare_events_.pop_back();
  } else {
    event = accelerator_.CreateEvent();
  }
  queue.Record(*event);
  if (marks_.empty()) oldest_waited_s_ = 0;
  marks_.push_back({std::move(call), calls_, event});
  return event;
}

void NcclMember::Fail(const core::Error& error) {
  host_.Abort(error);  // the first reason counts, whoever has it
  AbortHandle();
  host_.ThrowIfAborted();
  throw error;  // only where an abort ends processes and is not told to their threads
}

void NcclMember::AbortHandle() noexcept {
  const std::lock_guard lock(handle_mutex_);
  failed_ = true;
  if (handle_ != nullptr) library_->Abort(std::exchange(handle_, nullptr));
}

void NcclMember::Watch() {
  Clock::time_point last = Clock::now();
  const auto period = Seconds(std::min(kWatchPeriodS, timeout_s_ / 4));
  std::unique_lock lock(stop_mutex_);
  while (!stop_changed_.wait_for(lock, period, [this] { return stop_; })) {
    lock.unlock();
    const Clock::time_point now = Clock::now();
    try {
      Look(std::min(Seconds(now - last).count(), kLongestLookS));
    } catch (const core::Error& error) {
      host_.Abort(error);
      AbortHandle();
      return;
    }
    last = now;
    lock.lock();
  }
}

// Throws when the rank has to fail. `seconds`: since the last look.
void NcclMember::Look(double seconds) {
  host_.ThrowIfAborted();
  const NcclCode code = Locked([this](NcclHandle handle) { return library_->AsyncError(handle); });
  if (code != kNcclSuccess && code != kNcclInProgress) throw ErrorOf(code, "at work");
  const std::lock_guard lock(marks_mutex_);
  oldest_waited_s_ += seconds;
  while (!marks_.empty() && marks_.front().event->Reached()) {
    spare_events_.push_back(std::move(marks_.front().event));
    marks_.pop_front();
    oldest_waited_s_ = 0;
  }
  if (!marks_.empty() && oldest_waited_s_ > timeout_s_)
    throw core::PeerLost("{}", LateText(marks_.front()));
}

std::string NcclMember::LateText(const Mark& mark) const {
  const std::string what =
      mark.call
          ? fmt::format("{} #{} of group {}", mark.call->Describe(), mark.number, host_.name())
          : fmt::format("work queued after call #{} of group {}", mark.number, host_.name());
  return fmt::format("{} has not ended on {}: rank {} waited {:g} s", what,
                     accelerator_.info().name, host_.rank(), timeout_s_);
}

bool NcclMember::JobAborted() const noexcept {
  try {
    host_.ThrowIfAborted();
    return false;
  } catch (const core::Error&) {
    return true;
  }
}

void NcclMember::LeaveInOrder() noexcept {
  const std::lock_guard lock(handle_mutex_);
  if (failed_ || JobAborted()) return;
  NcclCode code = library_->Finalize(handle_);
  const Clock::time_point begin = Clock::now();
  for (int turn = 0; code == kNcclInProgress; ++turn) {
    if (Seconds(Clock::now() - begin).count() > kLeaveLimitS || JobAborted()) return;
    Relax(turn);
    code = library_->AsyncError(handle_);
  }
  if (code == kNcclSuccess) library_->Destroy(std::exchange(handle_, nullptr));
}

}  // namespace autodist::comm
