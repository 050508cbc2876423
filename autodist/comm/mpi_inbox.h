// Messages that a rank receives over MPI. A message moves into a buffer of its own, for the tensor
// that it is for may be gone by then.
#ifndef AUTODIST_COMM_MPI_INBOX_H_
#define AUTODIST_COMM_MPI_INBOX_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/mpi_channel.h"
#include "autodist/comm/mpi_member.h"

namespace autodist::comm {

class MpiInbox {
 public:
  // `member` outlives the inbox, and the inbox every Work that Receive() returned.
  explicit MpiInbox(MpiMember& member)
      : member_(member), open_(static_cast<size_t>(member.size())) {}
  ~MpiInbox();
  MpiInbox(const MpiInbox&) = delete;
  MpiInbox& operator=(const MpiInbox&) = delete;

  Work Receive(core::TensorView data, int from);

 private:
  struct OpenReceive {
    core::TensorView data;
    MpiIncoming incoming;
    std::vector<std::byte> buffer;
    bool done = false;
    bool dropped = false;  // nobody wants it any more; the message is taken and forgotten
  };
  class ReceiveWork;

  void TakeArrived(int from);  // serves open receives from `from` while messages are there

  MpiMember& member_;
  std::vector<std::deque<std::shared_ptr<OpenReceive>>> open_;  // by sender, in call order
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_INBOX_H_
