// Messages between the ranks of a group in shared memory.
//
// The sender copies the data into a block of its own heap and enters it into the channel of the
// pair; the receiver copies it out and gives the block back. Nobody else moves the data, so neither
// side depends on the other's progress.
#ifndef AUTODIST_COMM_MAILBOX_H_
#define AUTODIST_COMM_MAILBOX_H_

#include <deque>
#include <memory>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/group_member.h"

namespace autodist::comm {

class Mailbox {
 public:
  // `member` outlives the mailbox, and the mailbox every Work that Receive() returned.
  explicit Mailbox(GroupMember& member)
      : member_(member), open_(static_cast<size_t>(member.size())) {}

  void Send(core::ConstTensorView data, int to);
  Work Receive(core::TensorView data, int from);

 private:
  struct OpenReceive {
    core::TensorView data;
    bool done = false;
    bool dropped = false;  // nobody wants it any more; the message is taken and forgotten
  };
  class ReceiveWork;

  std::byte* AllocateOrWait(size_t bytes, int to);
  bool Arrived(int from) const;
  void TakeArrived(int from);  // serves open receives from `from` while messages are there
  void TakeOne(int from, const OpenReceive& receive);
  void Wait(int from, const OpenReceive& receive);

  GroupMember& member_;
  std::vector<std::deque<std::shared_ptr<OpenReceive>>> open_;  // by sender, in call order
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MAILBOX_H_
