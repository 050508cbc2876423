#include "autodist/comm/traced_communicator.h"

#include <chrono>
#include <utility>

namespace autodist::comm {
namespace {

// Adds its own lifetime to the totals.
class Stopwatch {
 public:
  explicit Stopwatch(CommTotals& totals)
      : totals_(totals), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    totals_.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  CommTotals& totals_;
  std::chrono::steady_clock::time_point start_;
};

class TracedWork final : public Work::Pending {
 public:
  TracedWork(Work inner, CommTotals& totals) : inner_(std::move(inner)), totals_(totals) {}
  void Wait() override {
    const Stopwatch stopwatch(totals_);
    inner_.Wait();
  }
  bool Done() override { return inner_.Done(); }

 private:
  Work inner_;
  CommTotals& totals_;
};

}  // namespace

TracedCommunicator::TracedCommunicator(std::unique_ptr<Communicator> inner, CommTotals& totals)
    : inner_(std::move(inner)), totals_(totals) {}

template <typename Start>
Work TracedCommunicator::Traced(uint64_t bytes, const Start& start) {
  ++totals_.calls;
  totals_.bytes += bytes;
  const Stopwatch stopwatch(totals_);
  Work work = start();
  if (work.Done()) return Work();
  return Work(std::make_unique<TracedWork>(std::move(work), totals_));
}

Work TracedCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  return Traced(inout.bytes(), [&] { return inner_->AllReduce(inout, op); });
}

Work TracedCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  return Traced(whole.bytes(), [&] { return inner_->AllGather(part, whole); });
}

Work TracedCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                         ReduceOp op) {
  return Traced(whole.bytes(), [&] { return inner_->ReduceScatter(whole, part, op); });
}

Work TracedCommunicator::DoBroadcast(core::TensorView inout, int root) {
  return Traced(inout.bytes(), [&] { return inner_->Broadcast(inout, root); });
}

Work TracedCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  return Traced(in.bytes(), [&] { return inner_->AllToAll(in, out); });
}

Work TracedCommunicator::DoSend(core::ConstTensorView data, int to) {
  return Traced(data.bytes(), [&] { return inner_->Send(data, to); });
}

Work TracedCommunicator::DoReceive(core::TensorView data, int from) {
  return Traced(data.bytes(), [&] { return inner_->Receive(data, from); });
}

void TracedCommunicator::DoBarrier(std::optional<double> limit_s) {
  const Stopwatch stopwatch(totals_);
  inner_->Barrier(limit_s);
}

std::unique_ptr<Communicator> TracedCommunicator::DoSplit(int color, int key,
                                                          const std::string& name) {
  auto group = inner_->Split(color, key, name);
  if (group == nullptr) return nullptr;
  return std::make_unique<TracedCommunicator>(std::move(group), totals_);
}

}  // namespace autodist::comm
