#include "autodist/comm/mpi_inbox.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "autodist/comm/call.h"
#include "autodist/core/error.h"

namespace autodist::comm {

class MpiInbox::ReceiveWork : public Work::Pending {
 public:
  ReceiveWork(MpiInbox& inbox, int from, std::shared_ptr<OpenReceive> receive)
      : inbox_(inbox), from_(from), receive_(std::move(receive)) {}
  ~ReceiveWork() override { receive_->dropped = true; }

  void Wait() override {
    MpiMember& member = inbox_.member_;
    member.WaitFor([this] { return Done(); },
                   [&] {
                     return fmt::format("{} has not sent a message to {} (group {}, {} bytes); {}",
                                        member.RankText(from_), member.Self(), member.name(),
                                        receive_->data.bytes(), member.Self());
                   });
  }
  bool Done() override {
    if (!receive_->done) inbox_.TakeArrived(from_);
    return receive_->done;
  }

 private:
  MpiInbox& inbox_;
  const int from_;
  const std::shared_ptr<OpenReceive> receive_;
};

MpiInbox::~MpiInbox() {
  for (const auto& open : open_) {
    if (!open.empty()) open.front()->incoming.Cancel();
  }
}

Work MpiInbox::Receive(core::TensorView data, int from) {
  auto receive = std::make_shared<OpenReceive>();
  receive->data = data;
  open_[from].push_back(receive);
  return Work(std::make_unique<ReceiveWork>(*this, from, std::move(receive)));
}

void MpiInbox::TakeArrived(int from) {
  std::deque<std::shared_ptr<OpenReceive>>& open = open_[from];
  while (!open.empty()) {
    OpenReceive& receive = *open.front();
    if (!receive.incoming.started())
      receive.incoming.Start(member_.channel(), from, MpiTag::kMessage);
    const bool arrived = receive.incoming.Test([&](const MpiHeader& header) {
      const Call sent = Call::FromCode(header.code, header.elements);
      const Call wanted = Call::Of(CallKind::kMessage, receive.data);
      if (!receive.dropped && (sent.Code() != wanted.Code() || sent.elements != wanted.elements)) {
        MpiMember::End(core::RuntimeFailure(
            "a message of group {} differs: {} sent {}, {} asked for {}", member_.name(),
            member_.RankText(from), sent.Describe(), member_.Self(), wanted.Describe()));
      }
      receive.buffer.resize(sent.bytes());
      return Part{receive.buffer.data(), receive.buffer.size()};
    });
    if (!arrived) return;
    if (!receive.dropped && !receive.buffer.empty()) {
      std::memcpy(receive.data.data(), receive.buffer.data(), receive.buffer.size());
    }
    receive.done = true;
    open.pop_front();
  }
}

}  // namespace autodist::comm
