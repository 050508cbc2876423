#include "autodist/comm/communicator.h"

#include <cstring>
#include <exception>
#include <utility>

#include "autodist/core/check.h"

namespace autodist::comm {
namespace {

void CheckSame(core::ConstTensorView a, core::ConstTensorView b) {
  AUTODIST_CHECK(a.contiguous() && b.contiguous());
  AUTODIST_CHECK_EQ(core::NameOf(a.dtype()), core::NameOf(b.dtype()));
}

}  // namespace

Work& Work::operator=(Work&& other) noexcept {
  AUTODIST_CHECK(pending_ == nullptr);
  pending_ = std::move(other.pending_);
  return *this;
}

Work::~Work() {
  if (pending_ != nullptr) AUTODIST_CHECK(std::uncaught_exceptions() > 0);
}

void Work::Wait() {
  if (pending_ == nullptr) return;
  // Finished also when it throws: a transfer that failed cannot be waited for again.
  const std::unique_ptr<Pending> pending = std::move(pending_);
  pending->Wait();
}

bool Work::Done() {
  if (pending_ == nullptr) return true;
  std::unique_ptr<Pending> pending = std::move(pending_);  // finished when this throws
  if (pending->Done()) return true;
  pending_ = std::move(pending);
  return false;
}

void Communicator::DoCopy(core::ConstTensorView from, core::TensorView to) {
  if (from.bytes() != 0) std::memmove(to.data(), from.data(), from.bytes());
}

Work Communicator::AllReduce(core::TensorView inout, ReduceOp op) {
  AUTODIST_CHECK(inout.contiguous());
  if (size() == 1) return Work();
  return DoAllReduce(inout, op);
}

Work Communicator::AllGather(core::ConstTensorView part, core::TensorView whole) {
  CheckSame(part, whole);
  AUTODIST_CHECK_EQ(part.elements() * size(), whole.elements());
  if (size() == 1) {
    DoCopy(part, whole);
    return Work();
  }
  return DoAllGather(part, whole);
}

Work Communicator::ReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) {
  CheckSame(whole, part);
  AUTODIST_CHECK_EQ(part.elements() * size(), whole.elements());
  if (size() == 1) {
    DoCopy(whole, part);
    return Work();
  }
  return DoReduceScatter(whole, part, op);
}

Work Communicator::Broadcast(core::TensorView inout, int root) {
  AUTODIST_CHECK(inout.contiguous());
  AUTODIST_CHECK(root >= 0 && root < size());
  if (size() == 1) return Work();
  return DoBroadcast(inout, root);
}

Work Communicator::AllToAll(core::ConstTensorView in, core::TensorView out) {
  CheckSame(in, out);
  AUTODIST_CHECK_EQ(in.elements(), out.elements());
  AUTODIST_CHECK_EQ(in.elements() % size(), 0);
  if (size() == 1) {
    DoCopy(in, out);
    return Work();
  }
  return DoAllToAll(in, out);
}

Work Communicator::Send(core::ConstTensorView data, int to) {
  AUTODIST_CHECK(data.contiguous());
  AUTODIST_CHECK(to >= 0 && to < size() && to != rank());
  return DoSend(data, to);
}

Work Communicator::Receive(core::TensorView data, int from) {
  AUTODIST_CHECK(data.contiguous());
  AUTODIST_CHECK(from >= 0 && from < size() && from != rank());
  return DoReceive(data, from);
}

void Communicator::Barrier(std::optional<double> limit_s) {
  AUTODIST_CHECK(!limit_s || *limit_s > 0);
  if (size() > 1) DoBarrier(limit_s);
}

std::unique_ptr<Communicator> Communicator::Split(int color, int key, std::string_view name) {
  return DoSplit(color, key,
                 name.empty() ? fmt::format("{}.{}", this->name(), color) : std::string(name));
}

}  // namespace autodist::comm
