#include "autodist/comm/nccl_communicator.h"

#include <utility>

namespace autodist::comm {
namespace {

size_t Count(core::ConstTensorView tensor) { return static_cast<size_t>(tensor.elements()); }

}  // namespace

NcclCommunicator::NcclCommunicator(std::shared_ptr<NcclLibrary> library,
                                   device::Accelerator& accelerator, device::Queue& queue,
                                   std::unique_ptr<Communicator> host, const CommOptions& options)
    : library_(std::move(library)),
      accelerator_(accelerator),
      queue_(queue),
      host_(std::move(host)),
      options_(options) {
  if (size() > 1) member_.emplace(library_, accelerator_, *host_, options_.collective_timeout_s);
}

void NcclCommunicator::Synchronize() {
  if (member_) {
    member_->Synchronize(queue_);
  } else {
    queue_.Synchronize();
    host_->ThrowIfAborted();  // of a group with the same queue, which lets that go on
  }
}

void NcclCommunicator::DoCopy(core::ConstTensorView from, core::TensorView to) {
  if (to.data() != from.data()) queue_.Copy(to.data(), from.data(), from.bytes());
}

// `given`: what this rank gives, or receives. Nothing is nothing on every rank.
template <typename Start>
Work NcclCommunicator::Enqueue(CallKind kind, core::ConstTensorView given, ReduceOp op, int root,
                               const Start& start) {
  if (given.elements() == 0) return Work();
  const Call call = Call::Of(kind, given, op, root);
  member_->Enqueue(queue_, call, [&](NcclHandle handle) { return start(handle, queue_.native()); });
  return Work();
}

Work NcclCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  return Enqueue(CallKind::kAllReduce, inout, op, 0, [&](NcclHandle handle, void* queue) {
    return library_->AllReduce(inout.data(), inout.data(), Count(inout), inout.dtype(), op, handle,
                               queue);
  });
}

Work NcclCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  return Enqueue(CallKind::kAllGather, part, {}, 0, [&](NcclHandle handle, void* queue) {
    return library_->AllGather(part.data(), whole.data(), Count(part), part.dtype(), handle, queue);
  });
}

Work NcclCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                       ReduceOp op) {
  return Enqueue(CallKind::kReduceScatter, whole, op, 0, [&](NcclHandle handle, void* queue) {
    return library_->ReduceScatter(whole.data(), part.data(), Count(part), part.dtype(), op, handle,
                                   queue);
  });
}

Work NcclCommunicator::DoBroadcast(core::TensorView inout, int root) {
  return Enqueue(CallKind::kBroadcast, inout, {}, root, [&](NcclHandle handle, void* queue) {
    return library_->Broadcast(inout.data(), inout.data(), Count(inout), inout.dtype(), root,
                               handle, queue);
  });
}

// Every pair in one group of calls: they go on side by side, so the order of ranks does not matter.
Work NcclCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  return Enqueue(CallKind::kAllToAll, in, {}, 0, [&](NcclHandle handle, void* queue) {
    const int64_t count = in.elements() / size();
    const auto part = static_cast<size_t>(count) * core::SizeOf(in.dtype());
    NcclCode code = library_->GroupStart();
    for (int peer = 0; peer < size() && code == kNcclSuccess; ++peer) {
      const size_t offset = static_cast<size_t>(peer) * part;
      const auto elements = static_cast<size_t>(count);
      code = library_->Send(static_cast<const std::byte*>(in.data()) + offset, elements, in.dtype(),
                            peer, handle, queue);
      if (code != kNcclSuccess) break;
      code = library_->Receive(static_cast<std::byte*>(out.data()) + offset, elements, in.dtype(),
                               peer, handle, queue);
    }
    const NcclCode end = library_->GroupEnd();  // also after an error: the thread leaves the group
    return code == kNcclSuccess ? end : code;
  });
}

Work NcclCommunicator::DoSend(core::ConstTensorView data, int to) {
  return Enqueue(CallKind::kMessage, data, {}, to, [&](NcclHandle handle, void* queue) {
    return library_->Send(data.data(), Count(data), data.dtype(), to, handle, queue);
  });
}

Work NcclCommunicator::DoReceive(core::TensorView data, int from) {
  return Enqueue(CallKind::kMessage, data, {}, from, [&](NcclHandle handle, void* queue) {
    return library_->Receive(data.data(), Count(data), data.dtype(), from, handle, queue);
  });
}

std::unique_ptr<Communicator> NcclCommunicator::DoSplit(int color, int key,
                                                        const std::string& name) {
  std::unique_ptr<Communicator> part = host_->Split(color, key, name);
  if (part == nullptr) return nullptr;
  return std::make_unique<NcclCommunicator>(library_, accelerator_, queue_, std::move(part),
                                            options_);
}

}  // namespace autodist::comm
