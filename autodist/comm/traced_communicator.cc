#include "autodist/comm/traced_communicator.h"

#include <utility>

namespace autodist::comm {
namespace {

device::OpCost CostOf(const char* name, uint64_t bytes) {
  return {.kind = device::OpKind::kCommunication, .name = name, .bytes = bytes};
}

class TracedWork final : public Work::Pending {
 public:
  TracedWork(Work inner, device::OpLog& log) : inner_(std::move(inner)), log_(log) {}
  void Wait() override {
    const device::OpScope op(&log_, [] { return CostOf("wait", 0); });
    inner_.Wait();
  }
  bool Done() override { return inner_.Done(); }

 private:
  Work inner_;
  device::OpLog& log_;
};

}  // namespace

TracedCommunicator::TracedCommunicator(std::unique_ptr<Communicator> inner, device::OpLog& log)
    : inner_(std::move(inner)), log_(log) {}

template <typename Start>
Work TracedCommunicator::Traced(const char* name, uint64_t bytes, const Start& start) {
  const device::OpScope op(&log_, [&] { return CostOf(name, bytes); });
  Work work = start();
  if (work.Done()) return Work();
  return Work(std::make_unique<TracedWork>(std::move(work), log_));
}

Work TracedCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  return Traced("all_reduce", inout.bytes(), [&] { return inner_->AllReduce(inout, op); });
}

Work TracedCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  return Traced("all_gather", whole.bytes(), [&] { return inner_->AllGather(part, whole); });
}

Work TracedCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                         ReduceOp op) {
  return Traced("reduce_scatter", whole.bytes(),
                [&] { return inner_->ReduceScatter(whole, part, op); });
}

Work TracedCommunicator::DoBroadcast(core::TensorView inout, int root) {
  return Traced("broadcast", inout.bytes(), [&] { return inner_->Broadcast(inout, root); });
}

Work TracedCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  return Traced("all_to_all", in.bytes(), [&] { return inner_->AllToAll(in, out); });
}

Work TracedCommunicator::DoSend(core::ConstTensorView data, int to) {
  return Traced("send", data.bytes(), [&] { return inner_->Send(data, to); });
}

Work TracedCommunicator::DoReceive(core::TensorView data, int from) {
  return Traced("receive", data.bytes(), [&] { return inner_->Receive(data, from); });
}

void TracedCommunicator::DoBarrier(std::optional<double> limit_s) {
  const device::OpScope op(&log_, [] { return CostOf("barrier", 0); });
  inner_->Barrier(limit_s);
}

std::unique_ptr<Communicator> TracedCommunicator::DoSplit(int color, int key,
                                                          const std::string& name) {
  auto group = inner_->Split(color, key, name);
  if (group == nullptr) return nullptr;
  return std::make_unique<TracedCommunicator>(std::move(group), log_);
}

}  // namespace autodist::comm
