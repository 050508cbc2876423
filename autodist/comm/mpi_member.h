// One rank's place in a group that exchanges MPI messages: what it sends, how it waits, and how it
// fails. Calls come from the session's thread.
#ifndef AUTODIST_COMM_MPI_MEMBER_H_
#define AUTODIST_COMM_MPI_MEMBER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/comm/call.h"
#include "autodist/comm/job_memory.h"
#include "autodist/comm/mpi_channel.h"
#include "autodist/comm/mpi_session.h"
#include "autodist/comm/watchdog.h"

namespace autodist::comm {

// The facts that all communicators of one message job share.
struct MpiJob {
  std::shared_ptr<MpiSession> session;
  CommOptions options;
  // Of this process alone: lets the watchdog tell that the launcher is gone.
  std::shared_ptr<JobMemory> memory;
  std::unique_ptr<Watchdog> watchdog;
};

class MpiMember {
 public:
  // What goes to a peer, and where that which comes from a peer is put.
  using Out = std::function<ConstPart(int peer)>;
  using In = std::function<Part(int peer)>;

  MpiMember(std::shared_ptr<MpiJob> job, std::unique_ptr<MpiChannel> channel, std::string name);

  const std::shared_ptr<MpiJob>& job() const { return job_; }
  const MpiChannel& channel() const { return *channel_; }
  int rank() const { return channel_->rank(); }
  int size() const { return channel_->size(); }
  const std::string& name() const { return name_; }
  std::string Self() const { return RankText(rank()); }
  std::string RankText(int peer) const;  // "rank 3", of the world

  // Begins a collective: its exchanges carry this call.
  void Begin(const Call& call);
  // Sends out(p) to every peer p and receives in(p) from it. `limit_s`: instead of the collective
  // timeout. Calls that do not match end the process.
  void Exchange(const Out& out, const In& in, std::optional<double> limit_s = std::nullopt);

  // Sends a copy of `data`, which moves while this rank waits for anything.
  void SendCopy(core::ConstTensorView data, int to);
  void FlushCopies();  // returns when the peers have taken them all

  // Returns when ready() is true. `late` gives the text for a time-out, up to "...; rank 1", which
  // ends the process.
  void WaitFor(const std::function<bool()>& ready, const std::function<std::string()>& late,
               std::optional<double> limit_s = std::nullopt);

  // Prints the reason and ends this process with its exit code.
  [[noreturn]] static void End(const core::Error& reason) noexcept;

 private:
  struct Copy {
    MpiHeader header;
    std::vector<std::byte> data;
    MpiTransfers transfers;
  };

  bool CopiesAreGone();  // makes progress
  std::string LateText(const std::vector<MpiIncoming>& incoming) const;

  const std::shared_ptr<MpiJob> job_;
  const std::unique_ptr<MpiChannel> channel_;
  const std::string name_;
  uint64_t calls_ = 0;
  Call call_;
  std::deque<Copy> copies_;  // in the order of their sending; MPI reads them where they are
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_MEMBER_H_
