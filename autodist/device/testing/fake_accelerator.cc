#include "autodist/device/testing/fake_accelerator.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "autodist/core/check.h"

namespace autodist::device::testing {

using Step = std::function<bool()>;
using Lock = std::lock_guard<std::recursive_mutex>;

class FakeEvent final : public Event {
 public:
  explicit FakeEvent(FakeAccelerator& accelerator) : accelerator_(accelerator) {}

  bool Reached() override {
    accelerator_.RefuseInCapture("Event::Reached()");
    const Lock lock(accelerator_.mutex_);
    accelerator_.CheckAlive();
    if (!*reached_) accelerator_.Advance();
    return *reached_;
  }
  std::shared_ptr<bool> StartOver() { return reached_ = std::make_shared<bool>(false); }
  std::shared_ptr<bool> reached() const { return reached_; }

 private:
  FakeAccelerator& accelerator_;
  std::shared_ptr<bool> reached_ = std::make_shared<bool>(true);  // never recorded
};

class FakeGraph final : public Graph {
 public:
  FakeGraph(FakeAccelerator& accelerator, std::vector<Step> steps)
      : steps_(std::move(steps)), accelerator_(accelerator) {
    if (!accelerator_.Take(accelerator_.options_.graph_bytes))
      throw core::RuntimeFailure("{}: instantiating a graph failed: out of memory",
                                 accelerator_.info_.name);
    ++accelerator_.live_graphs_;
  }
  ~FakeGraph() override {
    const Lock lock(accelerator_.mutex_);
    accelerator_.used_bytes_ -= accelerator_.options_.graph_bytes;
    --accelerator_.live_graphs_;
  }
  const std::vector<Step>& steps() const { return steps_; }

 private:
  const std::vector<Step> steps_;
  FakeAccelerator& accelerator_;
};

class FakeQueue final : public Queue {
 public:
  explicit FakeQueue(FakeAccelerator& accelerator) : accelerator_(accelerator) {
    const Lock lock(accelerator_.mutex_);
    accelerator_.queues_.push_back(this);
  }
  ~FakeQueue() override {
    const Lock lock(accelerator_.mutex_);
    std::erase(accelerator_.queues_, this);
  }

  void Put(Step step) {
    const Lock lock(accelerator_.mutex_);
    accelerator_.CheckAlive();
    if (capturing_) {
      captured_.push_back(std::move(step));
    } else {
      waiting_.push_back(std::move(step));
    }
  }

  void* native() const override { return const_cast<FakeQueue*>(this); }
  void Copy(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    Put([this, to, from, bytes] {
      AUTODIST_CHECK(accelerator_.Owns(from, bytes) && accelerator_.Owns(to, bytes));
      std::memcpy(to, from, bytes);
      return true;
    });
  }
  void Clear(void* data, size_t bytes) override {
    if (bytes == 0) return;
    Put([this, data, bytes] {
      AUTODIST_CHECK(accelerator_.Owns(data, bytes, MemoryKind::kDevice));
      std::memset(data, 0, bytes);
      return true;
    });
  }
  void Record(Event& event) override {
    Put([reached = static_cast<FakeEvent&>(event).StartOver()] { return *reached = true; });
  }
  void WaitFor(Event& event) override {
    Put([reached = static_cast<FakeEvent&>(event).reached()] { return *reached; });
  }
  void Synchronize() override {
    accelerator_.RefuseInCapture("Queue::Synchronize()");
    while (true) {
      {
        const Lock lock(accelerator_.mutex_);
        accelerator_.CheckAlive();
        accelerator_.Advance();
        if (waiting_.empty()) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool capturing() const override { return capturing_; }
  void Launch(const Graph& graph) override {
    for (const Step& step : static_cast<const FakeGraph&>(graph).steps()) Put(step);
  }

  // Whether anything ran.
  bool Advance() {
    const size_t before = waiting_.size();
    while (!waiting_.empty() && waiting_.front()()) waiting_.pop_front();
    return waiting_.size() != before;
  }
  bool BreakCaptureOf(std::thread::id thread, const char* call) {
    if (!capturing_ || thread != capture_thread_) return false;
    broken_by_ = call;
    return true;
  }

 protected:
  void BeginCapture() override {
    const Lock lock(accelerator_.mutex_);
    accelerator_.CheckAlive();
    AUTODIST_CHECK(!capturing_);
    capturing_ = true;
    capture_thread_ = std::this_thread::get_id();
    broken_by_ = nullptr;
    captured_.clear();
  }
  std::unique_ptr<Graph> EndCapture() override {
    const Lock lock(accelerator_.mutex_);
    capturing_ = false;
    accelerator_.CheckAlive();
    if (broken_by_ != nullptr)
      throw core::RuntimeFailure("{}: capturing a graph failed: {} was called meanwhile",
                                 accelerator_.info_.name, broken_by_);
    return std::make_unique<FakeGraph>(accelerator_, std::exchange(captured_, {}));
  }

 private:
  FakeAccelerator& accelerator_;
  std::deque<Step> waiting_;
  std::vector<Step> captured_;
  bool capturing_ = false;
  std::thread::id capture_thread_;
  const char* broken_by_ = nullptr;
};

FakeAccelerator::FakeAccelerator(const FakeOptions& options) : options_(options) {
  info_.index = options.index;
  info_.name = fmt::format("fake:{}", options.index);
  info_.id[0] = static_cast<uint8_t>(options.id);
}

FakeAccelerator::~FakeAccelerator() {
  // What an accelerator made goes before it.
  AUTODIST_CHECK(pieces_.empty() && queues_.empty());
  AUTODIST_CHECK_EQ(live_graphs_, 0);
}

void FakeAccelerator::Launch(Queue& queue, Step step) {
  static_cast<FakeQueue&>(queue).Put(std::move(step));
}

void FakeAccelerator::Lose(const std::string& reason) {
  const Lock lock(mutex_);
  lost_ = reason;
}

bool FakeAccelerator::Owns(const void* data, size_t bytes, std::optional<MemoryKind> kind) {
  const Lock lock(mutex_);
  const auto* const begin = static_cast<const std::byte*>(data);
  auto piece = pieces_.upper_bound(begin);
  if (piece == pieces_.begin()) return false;
  --piece;
  return begin + bytes <= piece->first + piece->second.bytes &&
         (!kind || *kind == piece->second.kind);
}

bool FakeAccelerator::bound_here() {
  const Lock lock(mutex_);
  return bound_threads_.count(std::this_thread::get_id()) != 0;
}

void FakeAccelerator::BindThread() {
  const Lock lock(mutex_);
  CheckAlive();
  bound_threads_.insert(std::this_thread::get_id());
}

MemoryState FakeAccelerator::memory() {
  const Lock lock(mutex_);
  CheckAlive();
  return {options_.memory_bytes - used_bytes_, options_.memory_bytes};
}

std::unique_ptr<Queue> FakeAccelerator::CreateQueue() {
  const Lock lock(mutex_);
  CheckAlive();
  return std::make_unique<FakeQueue>(*this);
}

std::unique_ptr<Event> FakeAccelerator::CreateEvent() {
  const Lock lock(mutex_);
  CheckAlive();
  return std::make_unique<FakeEvent>(*this);
}

void* FakeAccelerator::DoAllocate(MemoryKind kind, size_t bytes) {
  RefuseInCapture("Accelerator::Allocate()");
  const Lock lock(mutex_);
  CheckAlive();
  if (kind == MemoryKind::kDevice && !Take(bytes)) return nullptr;
  constexpr size_t kAlignment = 256;
  void* const data =
      std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  AUTODIST_CHECK(data != nullptr);
  std::memset(data, 0xcd, bytes);
  pieces_[static_cast<std::byte*>(data)] = {kind, bytes};
  return data;
}

void FakeAccelerator::DoFree(MemoryKind kind, void* data) noexcept {
  const Lock lock(mutex_);
  const auto piece = pieces_.find(static_cast<std::byte*>(data));
  AUTODIST_CHECK(piece != pieces_.end());
  if (kind == MemoryKind::kDevice) used_bytes_ -= piece->second.bytes;
  pieces_.erase(piece);
  std::free(data);
}

void FakeAccelerator::CheckAlive() {
  if (lost_) throw DeviceLost(info_, *lost_);
}

void FakeAccelerator::RefuseInCapture(const char* call) {
  const Lock lock(mutex_);
  for (FakeQueue* queue : queues_)
    if (queue->BreakCaptureOf(std::this_thread::get_id(), call))
      throw core::RuntimeFailure("{}: {} is not possible while a graph is captured", info_.name,
                                 call);
}

void FakeAccelerator::Advance() {
  bool ran = true;
  while (ran) {
    ran = false;
    for (FakeQueue* queue : queues_) ran = queue->Advance() || ran;
  }
}

bool FakeAccelerator::Take(uint64_t device_bytes) {
  const Lock lock(mutex_);
  if (device_bytes > options_.memory_bytes - used_bytes_) return false;
  used_bytes_ += device_bytes;
  return true;
}

}  // namespace autodist::device::testing
