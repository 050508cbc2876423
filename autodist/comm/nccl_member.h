// One rank's place in an NCCL group, from joining to leaving, and the watch over it.
//
//   joining -> member -> left
//       \---------\----> failed
//
// NCCL neither times out nor tells the other ranks when one fails, and a collective that a rank
// does not enter keeps the others' queues for ever. So the communicator is made never to block, and
// a thread watches it. A rank fails when the library reports an error, now or later; when what it
// queued does not end within the collective timeout; when its device is lost; or when the job was
// aborted. It then aborts the job through the host's communicator, which tells the other ranks, and
// its part of the group (ncclCommAbort), which frees its queue. All ranks end with the reason that
// came first.
//
// Threads: one caller at a time beside the watch. The calls that the caller makes itself (Enqueue,
// Synchronize) throw core::Error; what the watch finds, the next call throws.
#ifndef AUTODIST_COMM_NCCL_MEMBER_H_
#define AUTODIST_COMM_NCCL_MEMBER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "autodist/comm/call.h"
#include "autodist/comm/communicator.h"
#include "autodist/comm/nccl_library.h"
#include "autodist/device/accelerator.h"

namespace autodist::comm {

class NcclMember {
 public:
  // Joins. Collective over the ranks of `host`, at least two, which must outlive this, as must the
  // accelerator. Throws core::Error on every rank: bad input when two ranks have the same device,
  // which NCCL does not take; kPeerLost when not all ranks join within `timeout_s`; runtime for an
  // error of the library.
  NcclMember(std::shared_ptr<NcclLibrary> library, device::Accelerator& accelerator,
             Communicator& host, double timeout_s);
  // Leaves: in order when nothing has failed and no exception unwinds the stack, else by aborting.
  // Waits at most a second for the other ranks.
  ~NcclMember();
  NcclMember(const NcclMember&) = delete;
  NcclMember& operator=(const NcclMember&) = delete;

  // Calls start(handle), which asks the library for `call` on `queue`, and returns when the library
  // has queued it.
  void Enqueue(device::Queue& queue, const Call& call,
               const std::function<NcclCode(NcclHandle)>& start);
  // Returns when everything on `queue` is done, collectives included; only then are results there.
  // Instead of Queue::Synchronize(), which waits for ever for a rank that does not come and cannot
  // tell results from what an abort left.
  void Synchronize(device::Queue& queue);

 private:
  // A place in a queue that must be reached in time.
  struct Mark {
    std::optional<Call> call;  // nothing: everything queued so far
    uint64_t number = 0;       // of the call in this group, from 1
    std::shared_ptr<device::Event> event;
  };

  void Join();
  void RefuseSharedDevices();
  // Runs `call` on the handle unless the member has failed.
  NcclCode Locked(const std::function<NcclCode(NcclHandle)>& call);
  // Polls until the library is done with what it answered `code` to.
  void Await(NcclCode code, const std::string& what);
  core::Error ErrorOf(NcclCode code, const std::string& what);
  std::shared_ptr<device::Event> SetMark(device::Queue& queue, std::optional<Call> call);
  // Makes this rank and the job fail, and throws the job's reason.
  [[noreturn]] void Fail(const core::Error& error);
  void AbortHandle() noexcept;

  void Watch();
  void Look(double seconds);
  std::string LateText(const Mark& mark) const;
  bool JobAborted() const noexcept;
  void LeaveInOrder() noexcept;

  const std::shared_ptr<NcclLibrary> library_;
  device::Accelerator& accelerator_;
  Communicator& host_;
  const double timeout_s_;

  std::mutex handle_mutex_;  // held during calls of the library; they do not block
  NcclHandle handle_ = nullptr;
  bool failed_ = false;  // handle_ is gone

  std::mutex marks_mutex_;
  std::deque<Mark> marks_;  // not known to be reached, oldest first
  std::vector<std::shared_ptr<device::Event>> spare_events_;
  double oldest_waited_s_ = 0;  // since marks_.front() became the oldest
  uint64_t calls_ = 0;

  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  std::thread watch_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_NCCL_MEMBER_H_
