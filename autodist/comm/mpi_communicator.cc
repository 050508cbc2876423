#include "autodist/comm/mpi_communicator.h"

// The C interface alone: the C++ one is gone from the standard, and its library is not linked.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <fmt/ranges.h>
#include <mpi.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autodist/comm/call.h"
#include "autodist/comm/process_communicator.h"
#include "autodist/comm/reduce.h"
#include "autodist/core/check.h"
#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCollectiveTag = 1;
constexpr int kMessageTag = 2;
// Up to here an all-reduce sends everything to everybody; above, each rank adds its share.
constexpr size_t kOneExchangeBytes = size_t{8} << 10;
// MPI counts are int; pieces keep far from that.
constexpr size_t kPieceBytes = size_t{1} << 30;

// What goes before the data, so that mismatched calls are found before their data are misread.
struct Header {
  uint64_t code = 0;
  int64_t elements = 0;
};

// The facts that all communicators of one message job share.
struct MessageJob {
  std::shared_ptr<MpiSession> session;
  CommOptions options;
  // Of this process alone: lets the watchdog tell that the launcher is gone.
  std::shared_ptr<JobMemory> memory;
  std::unique_ptr<Watchdog> watchdog;
};

struct ConstPart {
  const void* data = nullptr;
  size_t bytes = 0;
};
struct Part {
  void* data = nullptr;
  size_t bytes = 0;
};

void StartSend(MPI_Comm group, const void* data, size_t bytes, int to, int tag,
               std::vector<MPI_Request>& requests) {
  for (size_t first = 0; first < bytes; first += kPieceBytes) {
    requests.emplace_back();
    MPI_Isend(static_cast<const std::byte*>(data) + first,
              static_cast<int>(std::min(kPieceBytes, bytes - first)), MPI_BYTE, to, tag, group,
              &requests.back());
  }
}

void StartReceive(MPI_Comm group, void* data, size_t bytes, int from, int tag,
                  std::vector<MPI_Request>& requests) {
  for (size_t first = 0; first < bytes; first += kPieceBytes) {
    requests.emplace_back();
    MPI_Irecv(static_cast<std::byte*>(data) + first,
              static_cast<int>(std::min(kPieceBytes, bytes - first)), MPI_BYTE, from, tag, group,
              &requests.back());
  }
}

bool TestAll(std::vector<MPI_Request>& requests) {
  int done = 0;
  MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
  return done != 0;
}

// A header and the data behind it, on their way in. Stays where it is: MPI writes into it.
class Incoming {
 public:
  // Checks the header and says where the data go.
  using Accept = std::function<Part(const Header&)>;

  Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  void Start(MPI_Comm group, int from, int tag) {
    group_ = group;
    from_ = from;
    tag_ = tag;
    StartReceive(group, &header_, sizeof(header_), from, tag, requests_);
  }
  bool started() const { return from_ >= 0; }
  bool header_arrived() const { return header_arrived_; }

  // Makes progress. True: all is there.
  bool Test(const Accept& accept) {
    if (!TestAll(requests_)) return false;
    if (header_arrived_) return true;
    header_arrived_ = true;
    requests_.clear();
    const Part part = accept(header_);
    StartReceive(group_, part.data, part.bytes, from_, tag_, requests_);
    return TestAll(requests_);
  }
  void Cancel() {
    for (MPI_Request& request : requests_) {
      if (request == MPI_REQUEST_NULL) continue;
      MPI_Cancel(&request);
      MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
  }

 private:
  MPI_Comm group_ = MPI_COMM_NULL;
  int from_ = -1;
  int tag_ = 0;
  Header header_;
  bool header_arrived_ = false;
  std::vector<MPI_Request> requests_;
};

// A message that Send() has buffered.
struct Outgoing {
  Header header;
  std::vector<std::byte> data;
  std::vector<MPI_Request> requests;
};

struct OpenReceive {
  core::TensorView data;
  Incoming incoming;
  std::vector<std::byte> buffer;  // `data` may be gone by the time the message comes
  bool done = false;
  bool dropped = false;
};

Call MakeCall(CallKind kind, core::ConstTensorView data, ReduceOp op = ReduceOp::kSum,
              int root = 0) {
  return {kind, data.dtype(), op, static_cast<int16_t>(root), data.elements()};
}

class MpiCommunicator final : public Communicator {
 public:
  // Takes `group`.
  MpiCommunicator(std::shared_ptr<MessageJob> job, MPI_Comm group, std::string name)
      : job_(std::move(job)), group_(group), name_(std::move(name)) {
    MPI_Comm_rank(group_, &rank_);
    MPI_Comm_size(group_, &size_);
    open_.resize(static_cast<size_t>(size_));
    members_.resize(static_cast<size_t>(size_));
    const int world_rank = job_->session->rank();
    MPI_Allgather(&world_rank, 1, MPI_INT, members_.data(), 1, MPI_INT, group_);
  }

  ~MpiCommunicator() override {
    WaitFor([this] { return ProgressSends(); },
            [this] { return fmt::format("messages of {} were not taken", Self()); });
    for (const auto& open : open_) {
      if (!open.empty()) open.front()->incoming.Cancel();
    }
    MPI_Comm_free(&group_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& name() const override { return name_; }
  bool ClaimReport() noexcept override {
    return job_->session->rank() == 0 && job_->memory->ClaimReport(0);
  }
  void Abort(const core::Error& reason) noexcept override { End(reason); }
  void ThrowIfAborted() override {}  // an abort ends the processes

 protected:
  Work DoAllReduce(core::TensorView inout, ReduceOp op) override;
  Work DoAllGather(core::ConstTensorView part, core::TensorView whole) override;
  Work DoReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) override;
  Work DoBroadcast(core::TensorView inout, int root) override;
  Work DoAllToAll(core::ConstTensorView in, core::TensorView out) override;
  Work DoSend(core::ConstTensorView data, int to) override;
  Work DoReceive(core::TensorView data, int from) override;
  void DoBarrier(std::optional<double> limit_s) override {
    Exchange(NewCall(Call()), NothingOut(), NothingIn(), limit_s);
  }
  std::unique_ptr<Communicator> DoSplit(int color, int key, const std::string& name) override;

 private:
  using Out = std::function<ConstPart(int peer)>;
  using In = std::function<Part(int peer)>;
  class ReceiveWork;

  static Out NothingOut() {
    return [](int) { return ConstPart(); };
  }
  static In NothingIn() {
    return [](int) { return Part(); };
  }
  const Call& NewCall(const Call& call) {
    ++calls_;
    call_ = call;
    return call_;
  }
  std::string Self() const { return fmt::format("rank {}", members_[rank_]); }

  // Sends out(p) to every peer p and receives in(p) from it. `limit_s`: instead of the collective
  // timeout.
  void Exchange(const Call& call, const Out& out, const In& in,
                std::optional<double> limit_s = std::nullopt);
  void AllReduceShares(core::TensorView inout, ReduceOp op);
  void WaitFor(const std::function<bool()>& ready, const std::function<std::string()>& late,
               std::optional<double> limit_s = std::nullopt);
  bool ProgressSends();  // true: nothing is under way
  bool ProgressReceives(int from);
  [[noreturn]] static void End(const core::Error& reason) noexcept;

  const std::shared_ptr<MessageJob> job_;
  MPI_Comm group_;
  const std::string name_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<int> members_;  // world ranks
  uint64_t calls_ = 0;
  Call call_;
  std::deque<Outgoing> outgoing_;
  std::vector<std::deque<std::shared_ptr<OpenReceive>>> open_;  // by sender, in call order
};

class MpiCommunicator::ReceiveWork : public Work::Pending {
 public:
  ReceiveWork(MpiCommunicator& comm, int from, std::shared_ptr<OpenReceive> receive)
      : comm_(comm), from_(from), receive_(std::move(receive)) {}
  ~ReceiveWork() override { receive_->dropped = true; }

  void Wait() override {
    comm_.WaitFor([this] { return Done(); },
                  [this] {
                    return fmt::format(
                        "rank {} has not sent a message to {} (group {}, {} bytes); {}",
                        comm_.members_[from_], comm_.Self(), comm_.name_, receive_->data.bytes(),
                        comm_.Self());
                  });
  }
  bool Done() override {
    return receive_->done || (comm_.ProgressReceives(from_) && receive_->done);
  }

 private:
  MpiCommunicator& comm_;
  const int from_;
  const std::shared_ptr<OpenReceive> receive_;
};

void MpiCommunicator::End(const core::Error& reason) noexcept {
  core::Log("error: {}", reason.what());
  // mpirun sees a rank that failed, and ends the job. MPI_Abort would need this to be the session's
  // thread.
  ::_exit(reason.exit_code());
}

void MpiCommunicator::WaitFor(const std::function<bool()>& ready,
                              const std::function<std::string()>& late,
                              std::optional<double> limit_s) {
  constexpr int kSpins = 1000;
  constexpr std::chrono::microseconds kPause{50};
  const Clock::time_point start = Clock::now();
  const std::chrono::duration<double> limit(limit_s.value_or(job_->options.collective_timeout_s));
  for (int turn = 0; !ready(); ++turn) {
    ProgressSends();
    if (turn < kSpins) continue;
    if (job_->memory->aborted()) End(job_->memory->abort_reason());
    if (Clock::now() - start > limit)
      End(core::PeerLost("{} waited {:g} s", late(), limit.count()));
    std::this_thread::sleep_for(kPause);
  }
}

void MpiCommunicator::Exchange(const Call& call, const Out& out, const In& in,
                               std::optional<double> limit_s) {
  const Header own{call.Code(), call.elements};
  std::vector<MPI_Request> sends;
  std::vector<Incoming> incoming(static_cast<size_t>(size_));
  for (int i = 1; i < size_; ++i) {
    const int peer = (rank_ + i) % size_;
    incoming[peer].Start(group_, peer, kCollectiveTag);
    StartSend(group_, &own, sizeof(own), peer, kCollectiveTag, sends);
    const ConstPart part = out(peer);
    StartSend(group_, part.data, part.bytes, peer, kCollectiveTag, sends);
  }
  const auto ready = [&] {
    bool all = TestAll(sends);
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == rank_) continue;
      const bool arrived = incoming[peer].Test([&](const Header& header) {
        if (header.code != own.code || header.elements != own.elements) {
          End(core::RuntimeFailure(
              "collective #{} of group {} differs: {} called {}, rank {} called {}", calls_, name_,
              Self(), call.Describe(), members_[peer],
              Call::FromCode(header.code, header.elements).Describe()));
        }
        return in(peer);
      });
      all = all && arrived;
    }
    return all;
  };
  const auto late = [&] {
    std::vector<int> missing;
    std::vector<int> waiting;
    for (int peer = 0; peer < size_; ++peer) {
      const bool here = peer == rank_ || incoming[peer].header_arrived();
      (here ? waiting : missing).push_back(members_[peer]);
    }
    return fmt::format("ranks [{}] have not {} {} #{} (group {}, {} bytes); ranks [{}]",
                       fmt::join(missing, ", "), missing.empty() ? "finished" : "entered",
                       call.Name(), calls_, name_, call.bytes(), fmt::join(waiting, ", "));
  };
  WaitFor(ready, late, limit_s);
}

Work MpiCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  NewCall(MakeCall(CallKind::kAllReduce, inout, op));
  if (inout.bytes() > kOneExchangeBytes) {
    AllReduceShares(inout, op);
    return Work();
  }
  const size_t bytes = inout.bytes();
  std::vector<std::byte> all(bytes * static_cast<size_t>(size_));
  Exchange(
      call_,
      [&](int) {
        return ConstPart{inout.data(), bytes};
      },
      [&](int peer) {
        return Part{all.data() + bytes * static_cast<size_t>(peer), bytes};
      });
  std::vector<const void*> sources;
  for (int peer = 0; peer < size_; ++peer)
    sources.push_back(all.data() + bytes * static_cast<size_t>(peer));
  sources[rank_] = inout.data();
  ReduceInOrder(op, inout.dtype(), sources, inout.elements(), inout.data());
  return Work();
}

void MpiCommunicator::AllReduceShares(core::TensorView inout, ReduceOp op) {
  const size_t element = core::SizeOf(inout.dtype());
  const auto first = [&](int peer) { return inout.elements() * peer / size_; };
  const auto share = [&](int peer) {
    return Part{static_cast<std::byte*>(inout.data()) + static_cast<size_t>(first(peer)) * element,
                static_cast<size_t>(first(peer + 1) - first(peer)) * element};
  };
  const auto share_to_send = [&](int peer) {
    return ConstPart{share(peer).data, share(peer).bytes};
  };
  const Part own = share(rank_);
  std::vector<std::byte> all(own.bytes * static_cast<size_t>(size_));
  const auto summand = [&](int peer) {
    return Part{all.data() + own.bytes * static_cast<size_t>(peer), own.bytes};
  };
  Exchange(call_, share_to_send, summand);
  std::vector<const void*> sources;
  for (int peer = 0; peer < size_; ++peer) sources.push_back(summand(peer).data);
  sources[rank_] = own.data;
  ReduceInOrder(op, inout.dtype(), sources, first(rank_ + 1) - first(rank_), own.data);
  Exchange(
      call_, [&](int) { return share_to_send(rank_); }, share);
}

Work MpiCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  const auto place = [&](int peer) {
    return Part{static_cast<std::byte*>(whole.data()) + part.bytes() * static_cast<size_t>(peer),
                part.bytes()};
  };
  if (part.bytes() != 0) std::memmove(place(rank_).data, part.data(), part.bytes());
  Exchange(
      NewCall(MakeCall(CallKind::kAllGather, part)),
      [&](int) {
        return ConstPart{part.data(), part.bytes()};
      },
      place);
  return Work();
}

Work MpiCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                      ReduceOp op) {
  const size_t bytes = part.bytes();
  const auto* data = static_cast<const std::byte*>(whole.data());
  std::vector<std::byte> all(bytes * static_cast<size_t>(size_));
  const auto summand = [&](int peer) {
    return Part{all.data() + bytes * static_cast<size_t>(peer), bytes};
  };
  Exchange(
      NewCall(MakeCall(CallKind::kReduceScatter, whole, op)),
      [&](int peer) {
        return ConstPart{data + bytes * static_cast<size_t>(peer), bytes};
      },
      summand);
  std::vector<const void*> sources;
  for (int peer = 0; peer < size_; ++peer) sources.push_back(summand(peer).data);
  sources[rank_] = data + bytes * static_cast<size_t>(rank_);
  ReduceInOrder(op, part.dtype(), sources, part.elements(), part.data());
  return Work();
}

Work MpiCommunicator::DoBroadcast(core::TensorView inout, int root) {
  Exchange(
      NewCall(MakeCall(CallKind::kBroadcast, inout, ReduceOp::kSum, root)),
      [&](int) {
        return rank_ == root ? ConstPart{inout.data(), inout.bytes()} : ConstPart();
      },
      [&](int peer) {
        return peer == root ? Part{inout.data(), inout.bytes()} : Part();
      });
  return Work();
}

Work MpiCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  const size_t bytes = in.bytes() / static_cast<size_t>(size_);
  const auto* from = static_cast<const std::byte*>(in.data());
  auto* to = static_cast<std::byte*>(out.data());
  const size_t own = bytes * static_cast<size_t>(rank_);
  if (bytes != 0) std::memcpy(to + own, from + own, bytes);
  Exchange(
      NewCall(MakeCall(CallKind::kAllToAll, in)),
      [&](int peer) {
        return ConstPart{from + bytes * static_cast<size_t>(peer), bytes};
      },
      [&](int peer) {
        return Part{to + bytes * static_cast<size_t>(peer), bytes};
      });
  return Work();
}

Work MpiCommunicator::DoSend(core::ConstTensorView data, int to) {
  Outgoing& outgoing = outgoing_.emplace_back();
  const Call call = MakeCall(CallKind::kMessage, data);
  outgoing.header = {call.Code(), call.elements};
  const auto* bytes = static_cast<const std::byte*>(data.data());
  outgoing.data.assign(bytes, bytes + data.bytes());
  StartSend(group_, &outgoing.header, sizeof(Header), to, kMessageTag, outgoing.requests);
  StartSend(group_, outgoing.data.data(), outgoing.data.size(), to, kMessageTag, outgoing.requests);
  ProgressSends();
  return Work();
}

bool MpiCommunicator::ProgressSends() {
  // Only from the front: a deque's elements, which MPI reads, then stay where they are.
  while (!outgoing_.empty() && TestAll(outgoing_.front().requests)) outgoing_.pop_front();
  return outgoing_.empty();
}

Work MpiCommunicator::DoReceive(core::TensorView data, int from) {
  auto receive = std::make_shared<OpenReceive>();
  receive->data = data;
  open_[from].push_back(receive);
  return Work(std::make_unique<ReceiveWork>(*this, from, std::move(receive)));
}

bool MpiCommunicator::ProgressReceives(int from) {
  std::deque<std::shared_ptr<OpenReceive>>& open = open_[from];
  while (!open.empty()) {
    OpenReceive& receive = *open.front();
    if (!receive.incoming.started()) receive.incoming.Start(group_, from, kMessageTag);
    const bool arrived = receive.incoming.Test([&](const Header& header) {
      const Call sent = Call::FromCode(header.code, header.elements);
      const Call wanted = MakeCall(CallKind::kMessage, receive.data);
      if (!receive.dropped && (sent.Code() != wanted.Code() || sent.elements != wanted.elements)) {
        End(core::RuntimeFailure("a message of group {} differs: rank {} sent {}, {} asked for {}",
                                 name_, members_[from], sent.Describe(), Self(),
                                 wanted.Describe()));
      }
      receive.buffer.resize(sent.bytes());
      return Part{receive.buffer.data(), receive.buffer.size()};
    });
    if (!arrived) return false;
    if (!receive.dropped && !receive.buffer.empty()) {
      std::memcpy(receive.data.data(), receive.buffer.data(), receive.buffer.size());
    }
    receive.done = true;
    open.pop_front();
  }
  return true;
}

std::unique_ptr<Communicator> MpiCommunicator::DoSplit(int color, int key,
                                                       const std::string& name) {
  // MPI's own split waits without bound: it begins when all are here.
  Barrier();
  MPI_Comm group = MPI_COMM_NULL;
  MPI_Comm_split(group_, color < 0 ? MPI_UNDEFINED : color, key, &group);
  if (group == MPI_COMM_NULL) return nullptr;
  return std::make_unique<MpiCommunicator>(job_, group, name);
}

// The same on all ranks, and no other job has it.
std::string AgreeOnToken(int rank) {
  uint64_t token[2] = {};
  if (rank == 0 && ::getrandom(token, sizeof(token), 0) != sizeof(token)) {
    throw core::RuntimeFailure("the system gives no random numbers");
  }
  MPI_Bcast(token, sizeof(token), MPI_BYTE, 0, MPI_COMM_WORLD);
  return fmt::format("mpirun {:016x}{:016x}", token[0], token[1]);
}

std::unique_ptr<Communicator> CreateHostGroup(const std::shared_ptr<MpiSession>& session,
                                              const CommOptions& options, OnLeave on_leave) {
  return CreateProcessGroup(AgreeOnToken(session->rank()), session->rank(), session->size(),
                            options, ParentRole::kLauncher, session->parent(), std::move(on_leave));
}

}  // namespace

MpiSession::MpiSession() {
  int initialised = 0;
  int finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  if (finalised != 0)
    throw core::RuntimeFailure("MPI was finalised before: it can be started once per process");
  if (initialised == 0) {
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED)
      throw core::RuntimeFailure("this MPI library does not support threads");
    finalize_ = true;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int host_size = 0;
  MPI_Comm_size(host, &host_size);
  MPI_Comm_free(&host);
  // All must take the same path.
  int all_on_one = host_size == size_ ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &all_on_one, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  one_host_ = all_on_one != 0;
}

MpiSession::~MpiSession() {
  if (finalize_) MPI_Finalize();
}

std::unique_ptr<Communicator> CreateMpiHostGroup(const std::shared_ptr<MpiSession>& session,
                                                 const CommOptions& options) {
  return CreateHostGroup(session, options, [session](bool) {});
}

std::unique_ptr<Communicator> CreateMpiMessageGroup(const std::shared_ptr<MpiSession>& session,
                                                    const CommOptions& options) {
  auto job = std::make_shared<MessageJob>();
  job->session = session;
  job->options = options;
  job->memory = JobMemory::CreateForThreads(1);
  job->watchdog = std::make_unique<Watchdog>(job->memory, 0, session->rank(),
                                             std::vector<PeerLink>(), session->parent(), true);
  MPI_Comm group = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &group);
  return std::make_unique<MpiCommunicator>(std::move(job), group, "world");
}

std::unique_ptr<Communicator> CreateMpiGroup(int rank, int ranks, const CommOptions& options) {
  auto session = std::make_shared<MpiSession>();
  if (session->rank() != rank || session->size() != ranks) {
    throw core::BadInput("the launcher's variables say rank {} of {}, MPI says rank {} of {}", rank,
                         ranks, session->rank(), session->size());
  }
  if (!session->one_host()) return CreateMpiMessageGroup(session, options);
  return CreateHostGroup(session, options, [session](bool aborted) {
    if (aborted) session->Abandon();
  });
}

}  // namespace autodist::comm
