#include "autodist/comm/mpi_communicator.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "autodist/comm/call.h"
#include "autodist/comm/mpi_channel.h"
#include "autodist/comm/mpi_inbox.h"
#include "autodist/comm/mpi_member.h"
#include "autodist/comm/process_communicator.h"
#include "autodist/comm/reduce.h"
#include "autodist/core/error.h"

namespace autodist::comm {
namespace {

// Up to here an all-reduce sends everything to everybody; above, each rank adds its share.
constexpr size_t kOneExchangeBytes = size_t{8} << 10;

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(std::shared_ptr<MpiJob> job, std::unique_ptr<MpiChannel> channel,
                  std::string name)
      : member_(std::move(job), std::move(channel), std::move(name)), inbox_(member_) {}
  ~MpiCommunicator() override { member_.FlushCopies(); }

  int rank() const override { return member_.rank(); }
  int size() const override { return member_.size(); }
  const std::string& name() const override { return member_.name(); }
  bool ClaimReport() noexcept override {
    return member_.job()->session->rank() == 0 && member_.job()->memory->ClaimReport(0);
  }
  void Abort(const core::Error& reason) noexcept override { MpiMember::End(reason); }
  void ThrowIfAborted() override {}  // an abort ends the processes

 protected:
  Work DoAllReduce(core::TensorView inout, ReduceOp op) override;
  Work DoAllGather(core::ConstTensorView part, core::TensorView whole) override;
  Work DoReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) override;
  Work DoBroadcast(core::TensorView inout, int root) override;
  Work DoAllToAll(core::ConstTensorView in, core::TensorView out) override;
  Work DoSend(core::ConstTensorView data, int to) override {
    member_.SendCopy(data, to);
    return Work();
  }
  Work DoReceive(core::TensorView data, int from) override { return inbox_.Receive(data, from); }
  void DoBarrier(std::optional<double> limit_s) override;
  std::unique_ptr<Communicator> DoSplit(int color, int key, const std::string& name) override;

 private:
  void AllReduceShares(core::TensorView inout, ReduceOp op);

  MpiMember member_;
  MpiInbox inbox_;
};

Work MpiCommunicator::DoAllReduce(core::TensorView inout, ReduceOp op) {
  member_.Begin(Call::Of(CallKind::kAllReduce, inout, op));
  if (inout.bytes() > kOneExchangeBytes) {
    AllReduceShares(inout, op);
    return Work();
  }
  const size_t bytes = inout.bytes();
  std::vector<std::byte> all(bytes * static_cast<size_t>(size()));
  member_.Exchange(
      [&](int) {
        return ConstPart{inout.data(), bytes};
      },
      [&](int peer) {
        return Part{all.data() + bytes * static_cast<size_t>(peer), bytes};
      });
  std::vector<const void*> sources;
  for (int peer = 0; peer < size(); ++peer)
    sources.push_back(all.data() + bytes * static_cast<size_t>(peer));
  sources[rank()] = inout.data();
  ReduceInOrder(op, inout.dtype(), sources, inout.elements(), inout.data());
  return Work();
}

void MpiCommunicator::AllReduceShares(core::TensorView inout, ReduceOp op) {
  const size_t element = core::SizeOf(inout.dtype());
  const auto first = [&](int peer) { return inout.elements() * peer / size(); };
  const auto share = [&](int peer) {
    return Part{static_cast<std::byte*>(inout.data()) + static_cast<size_t>(first(peer)) * element,
                static_cast<size_t>(first(peer + 1) - first(peer)) * element};
  };
  const auto share_to_send = [&](int peer) {
    return ConstPart{share(peer).data, share(peer).bytes};
  };
  const Part own = share(rank());
  std::vector<std::byte> all(own.bytes * static_cast<size_t>(size()));
  const auto summand = [&](int peer) {
    return Part{all.data() + own.bytes * static_cast<size_t>(peer), own.bytes};
  };
  member_.Exchange(share_to_send, summand);
  std::vector<const void*> sources;
  for (int peer = 0; peer < size(); ++peer) sources.push_back(summand(peer).data);
  sources[rank()] = own.data;
  ReduceInOrder(op, inout.dtype(), sources, first(rank() + 1) - first(rank()), own.data);
  member_.Exchange([&](int) { return share_to_send(rank()); }, share);
}

Work MpiCommunicator::DoAllGather(core::ConstTensorView part, core::TensorView whole) {
  const auto place = [&](int peer) {
    return Part{static_cast<std::byte*>(whole.data()) + part.bytes() * static_cast<size_t>(peer),
                part.bytes()};
  };
  if (part.bytes() != 0) std::memmove(place(rank()).data, part.data(), part.bytes());
  member_.Begin(Call::Of(CallKind::kAllGather, part));
  member_.Exchange([&](int) { return ConstPart{part.data(), part.bytes()}; }, place);
  return Work();
}

Work MpiCommunicator::DoReduceScatter(core::ConstTensorView whole, core::TensorView part,
                                      ReduceOp op) {
  const size_t bytes = part.bytes();
  const auto* data = static_cast<const std::byte*>(whole.data());
  std::vector<std::byte> all(bytes * static_cast<size_t>(size()));
  const auto summand = [&](int peer) {
    return Part{all.data() + bytes * static_cast<size_t>(peer), bytes};
  };
  member_.Begin(Call::Of(CallKind::kReduceScatter, whole, op));
  member_.Exchange(
      [&](int peer) {
        return ConstPart{data + bytes * static_cast<size_t>(peer), bytes};
      },
      summand);
  std::vector<const void*> sources;
  for (int peer = 0; peer < size(); ++peer) sources.push_back(summand(peer).data);
  sources[rank()] = data + bytes * static_cast<size_t>(rank());
  ReduceInOrder(op, part.dtype(), sources, part.elements(), part.data());
  return Work();
}

Work MpiCommunicator::DoBroadcast(core::TensorView inout, int root) {
  member_.Begin(Call::Of(CallKind::kBroadcast, inout, ReduceOp::kSum, root));
  member_.Exchange(
      [&](int) {
        return rank() == root ? ConstPart{inout.data(), inout.bytes()} : ConstPart();
      },
      [&](int peer) {
        return peer == root ? Part{inout.data(), inout.bytes()} : Part();
      });
  return Work();
}

Work MpiCommunicator::DoAllToAll(core::ConstTensorView in, core::TensorView out) {
  const size_t bytes = in.bytes() / static_cast<size_t>(size());
  const auto* from = static_cast<const std::byte*>(in.data());
  auto* to = static_cast<std::byte*>(out.data());
  const size_t own = bytes * static_cast<size_t>(rank());
  if (bytes != 0) std::memcpy(to + own, from + own, bytes);
  member_.Begin(Call::Of(CallKind::kAllToAll, in));
  member_.Exchange(
      [&](int peer) {
        return ConstPart{from + bytes * static_cast<size_t>(peer), bytes};
      },
      [&](int peer) {
        return Part{to + bytes * static_cast<size_t>(peer), bytes};
      });
  return Work();
}

void MpiCommunicator::DoBarrier(std::optional<double> limit_s) {
  member_.Begin(Call());
  member_.Exchange([](int) { return ConstPart(); }, [](int) { return Part(); }, limit_s);
}

std::unique_ptr<Communicator> MpiCommunicator::DoSplit(int color, int key,
                                                       const std::string& name) {
  // The channel's own split waits without bound: it begins when all are here.
  Barrier();
  auto channel = member_.channel().Split(color, key);
  if (channel == nullptr) return nullptr;
  return std::make_unique<MpiCommunicator>(member_.job(), std::move(channel), name);
}

std::unique_ptr<Communicator> CreateHostGroup(const std::shared_ptr<MpiSession>& session,
                                              const CommOptions& options, OnLeave on_leave) {
  return CreateProcessGroup(session->AgreeOnJobName(), session->rank(), session->size(), options,
                            ParentRole::kLauncher, session->parent(), std::move(on_leave));
}

}  // namespace

std::unique_ptr<Communicator> CreateMpiHostGroup(const std::shared_ptr<MpiSession>& session,
                                                 const CommOptions& options) {
  return CreateHostGroup(session, options, [session](bool) {});
}

std::unique_ptr<Communicator> CreateMpiMessageGroup(const std::shared_ptr<MpiSession>& session,
                                                    const CommOptions& options) {
  auto job = std::make_shared<MpiJob>();
  job->session = session;
  job->options = options;
  job->memory = JobMemory::CreateForThreads(1);
  job->watchdog = std::make_unique<Watchdog>(job->memory, 0, session->rank(),
                                             std::vector<PeerLink>(), session->parent(), true);
  return std::make_unique<MpiCommunicator>(std::move(job), MpiChannel::World(), "world");
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
