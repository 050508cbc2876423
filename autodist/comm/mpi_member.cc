#include "autodist/comm/mpi_member.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/log.h"

namespace autodist::comm {

using Clock = std::chrono::steady_clock;

MpiMember::MpiMember(std::shared_ptr<MpiJob> job, std::unique_ptr<MpiChannel> channel,
                     std::string name)
    : job_(std::move(job)), channel_(std::move(channel)), name_(std::move(name)) {}

std::string MpiMember::RankText(int peer) const {
  return fmt::format("rank {}", channel_->members()[static_cast<size_t>(peer)]);
}

void MpiMember::Begin(const Call& call) {
  ++calls_;
  call_ = call;
}

void MpiMember::Exchange(const Out& out, const In& in, std::optional<double> limit_s) {
  const MpiHeader own{call_.Code(), call_.elements};
  MpiTransfers sends;
  std::vector<MpiIncoming> incoming(static_cast<size_t>(size()));
  for (int i = 1; i < size(); ++i) {
    const int peer = (rank() + i) % size();
    incoming[peer].Start(*channel_, peer, MpiTag::kCollective);
    channel_->StartSend({&own, sizeof(own)}, peer, MpiTag::kCollective, sends);
    channel_->StartSend(out(peer), peer, MpiTag::kCollective, sends);
  }
  const auto ready = [&] {
    bool all = sends.Done();
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      const bool arrived = incoming[peer].Test([&](const MpiHeader& header) {
        if (header.code != own.code || header.elements != own.elements) {
          End(core::RuntimeFailure("collective #{} of group {} differs: {} called {}, {} called {}",
                                   calls_, name_, Self(), call_.Describe(), RankText(peer),
                                   Call::FromCode(header.code, header.elements).Describe()));
        }
        return in(peer);
      });
      all = all && arrived;
    }
    return all;
  };
  WaitFor(
      ready, [&] { return LateText(incoming); }, limit_s);
}

std::string MpiMember::LateText(const std::vector<MpiIncoming>& incoming) const {
  std::vector<int> missing;
  std::vector<int> waiting;
  for (int peer = 0; peer < size(); ++peer) {
    const bool here = peer == rank() || incoming[peer].header_arrived();
    (here ? waiting : missing).push_back(channel_->members()[peer]);
  }
  return fmt::format("ranks [{}] have not {} {} #{} (group {}, {} bytes); ranks [{}]",
                     fmt::join(missing, ", "), missing.empty() ? "finished" : "entered",
                     call_.Name(), calls_, name_, call_.bytes(), fmt::join(waiting, ", "));
}

void MpiMember::SendCopy(core::ConstTensorView data, int to) {
  Copy& copy = copies_.emplace_back();
  const Call call = Call::Of(CallKind::kMessage, data);
  copy.header = {call.Code(), call.elements};
  const auto* bytes = static_cast<const std::byte*>(data.data());
  copy.data.assign(bytes, bytes + data.bytes());
  channel_->StartSend({&copy.header, sizeof(copy.header)}, to, MpiTag::kMessage, copy.transfers);
  channel_->StartSend({copy.data.data(), copy.data.size()}, to, MpiTag::kMessage, copy.transfers);
  CopiesAreGone();
}

bool MpiMember::CopiesAreGone() {
  // Only from the front: a deque's elements, which MPI reads, then stay where they are.
  while (!copies_.empty() && copies_.front().transfers.Done()) copies_.pop_front();
  return copies_.empty();
}

void MpiMember::FlushCopies() {
  WaitFor([this] { return CopiesAreGone(); },
          [this] { return fmt::format("messages of {} were not taken", Self()); });
}

void MpiMember::WaitFor(const std::function<bool()>& ready,
                        const std::function<std::string()>& late, std::optional<double> limit_s) {
  constexpr int kSpins = 1000;
  constexpr std::chrono::microseconds kPause{50};
  const Clock::time_point start = Clock::now();
  const std::chrono::duration<double> limit(limit_s.value_or(job_->options.collective_timeout_s));
  for (int turn = 0; !ready(); ++turn) {
    CopiesAreGone();
    if (turn < kSpins) continue;
    if (job_->memory->aborted()) End(job_->memory->abort_reason());
    if (Clock::now() - start > limit)
      End(core::PeerLost("{} waited {:g} s", late(), limit.count()));
    std::this_thread::sleep_for(kPause);
  }
}

void MpiMember::End(const core::Error& reason) noexcept {
  core::Log("error: {}", reason.what());
  // mpirun sees a rank that failed, and ends the job. MPI_Abort would need this to be the session's
  // thread.
  ::_exit(reason.exit_code());
}

}  // namespace autodist::comm
