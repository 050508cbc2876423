#include "autodist/comm/mailbox.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "autodist/core/check.h"

namespace autodist::comm {
class Mailbox::ReceiveWork : public Work::Pending {
 public:
  ReceiveWork(Mailbox& mailbox, int from, std::shared_ptr<OpenReceive> receive)
      : mailbox_(mailbox), from_(from), receive_(std::move(receive)) {}
  ~ReceiveWork() override { receive_->dropped = true; }

  void Wait() override { mailbox_.Wait(from_, *receive_); }
  bool Done() override {
    const auto done = [this] {
      mailbox_.TakeArrived(from_);
      return receive_->done;
    };
    return mailbox_.member_.Look(from_, done);
  }

 private:
  Mailbox& mailbox_;
  const int from_;
  const std::shared_ptr<OpenReceive> receive_;
};

void Mailbox::Send(core::ConstTensorView data, int to) {
  Channel& channel = member_.memory().channel(member_.rank(), to);
  const uint64_t number = channel.sent.load(std::memory_order_relaxed);
  const auto late = [&] {
    return fmt::format("{} has not received message #{} of {} (group {}); {}", member_.Ranks({to}),
                       channel.received.load() + 1, member_.Ranks({member_.rank()}), member_.name(),
                       member_.Ranks({member_.rank()}));
  };
  member_.WaitFor(
      to, [&] { return number - channel.received.load() < kMaxMessagesUnderWay; }, late);
  std::byte* block = AllocateOrWait(data.bytes(), to);
  if (data.bytes() != 0) std::memcpy(block, data.data(), data.bytes());
  member_.memory().message(member_.rank(), to, number) = {member_.job().memory->offset_of(block),
                                                          Call::Of(CallKind::kMessage, data).Code(),
                                                          data.elements()};
  channel.sent.store(number + 1);
  member_.Wake(to);
}

std::byte* Mailbox::AllocateOrWait(size_t bytes, int to) {
  RankHeap& heap = member_.job().heap;
  if (bytes > kSendBufferBytes) {
    member_.Fail(core::RuntimeFailure(
        "a message of {} bytes to {} is larger than the send buffer of {} bytes", bytes,
        member_.Ranks({to}), kSendBufferBytes));
  }
  std::byte* block = heap.Allocate(bytes, 1);
  if (block != nullptr) return block;
  // Full. Any receiver may make room, so this polls; half a gigabyte under way is no time for
  // microseconds.
  const auto ready = [&] {
    block = heap.Allocate(bytes, 1);
    if (block == nullptr) std::this_thread::sleep_for(std::chrono::microseconds(200));
    return block != nullptr;
  };
  member_.WaitFor(to, ready, [&] {
    return fmt::format("messages of {} fill its send buffer of {} bytes (group {}); {}",
                       member_.Ranks({member_.rank()}), kSendBufferBytes, member_.name(),
                       member_.Ranks({member_.rank()}));
  });
  return block;
}

Work Mailbox::Receive(core::TensorView data, int from) {
  std::deque<std::shared_ptr<OpenReceive>>& open = open_[from];
  auto receive = std::make_shared<OpenReceive>();
  receive->data = data;
  open.push_back(receive);
  return Work(std::make_unique<ReceiveWork>(*this, from, std::move(receive)));
}

bool Mailbox::Arrived(int from) const {
  const Channel& channel = member_.memory().channel(from, member_.rank());
  return channel.sent.load() != channel.received.load(std::memory_order_relaxed);
}

void Mailbox::Wait(int from, const OpenReceive& receive) {
  const auto late = [&] {
    const Channel& channel = member_.memory().channel(from, member_.rank());
    return fmt::format("{} has not sent message #{} to {} (group {}, {} bytes); {}",
                       member_.Ranks({from}), channel.received.load() + 1,
                       member_.Ranks({member_.rank()}), member_.name(), receive.data.bytes(),
                       member_.Ranks({member_.rank()}));
  };
  TakeArrived(from);
  while (!receive.done) {
    member_.WaitFor(
        from, [&] { return Arrived(from); }, late);
    TakeArrived(from);
  }
}

void Mailbox::TakeArrived(int from) {
  std::deque<std::shared_ptr<OpenReceive>>& open = open_[from];
  while (!open.empty() && Arrived(from)) {
    const std::shared_ptr<OpenReceive> receive = std::move(open.front());
    open.pop_front();
    TakeOne(from, *receive);
    receive->done = true;
  }
}

void Mailbox::TakeOne(int from, const OpenReceive& receive) {
  Channel& channel = member_.memory().channel(from, member_.rank());
  const uint64_t number = channel.received.load(std::memory_order_relaxed);
  const Message message = member_.memory().message(from, member_.rank(), number);
  const Call wanted = Call::Of(CallKind::kMessage, receive.data);
  std::byte* block = member_.job().memory->at(message.offset);
  if (!receive.dropped) {
    if (message.code != wanted.Code() || message.elements != wanted.elements) {
      member_.Fail(
          core::RuntimeFailure("message #{} of group {} differs: {} sent {}, {} asked for {}",
                               number + 1, member_.name(), member_.Ranks({from}),
                               Call::FromCode(message.code, message.elements).Describe(),
                               member_.Ranks({member_.rank()}), wanted.Describe()));
    }
    if (receive.data.bytes() != 0) std::memcpy(receive.data.data(), block, receive.data.bytes());
  }
  RankHeap::Release(block);
  channel.received.store(number + 1);
  member_.Wake(from);
}

}  // namespace autodist::comm
