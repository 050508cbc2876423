#include "autodist/comm/testing/fake_nccl.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "autodist/comm/reduce.h"
#include "autodist/core/check.h"

namespace autodist::comm::testing {

using device::testing::FakeAccelerator;
using Lock = std::lock_guard<std::recursive_mutex>;

namespace {
constexpr int kPollsInProgress = 3;
}

struct FakeNccl::Meeting {
  std::vector<const void*> in;
  std::vector<void*> out;
  size_t came = 0;
  bool done = false;
};

struct FakeNccl::Clique {
  int size = 0;
  int joined = 0;
  int finalized = 0;
  bool broken = false;                                       // a member has aborted
  std::map<std::string, std::shared_ptr<Meeting>> meetings;  // not complete
};

struct FakeNccl::Member {
  std::shared_ptr<Clique> clique;
  int rank = 0;      // in the clique
  int job_rank = 0;  // that faults and accelerators are known by
  FakeAccelerator* accelerator = nullptr;
  int polls_left = 0;  // of the call in progress
  bool joining = true;
  bool finalizing = false;
  bool aborted = false;
  std::map<std::string, int> turns;  // how often this rank has come to each kind of meeting
};

FakeNccl::~FakeNccl() { AUTODIST_CHECK(members_.empty()); }

void FakeNccl::Attach(int rank, FakeAccelerator& accelerator) {
  const Lock lock(mutex_);
  attached_[std::this_thread::get_id()] = {rank, &accelerator};
}

void FakeNccl::SetFaults(int rank, const FakeNcclFaults& faults) {
  const Lock lock(mutex_);
  faults_[rank] = faults;
}

int FakeNccl::aborts() const {
  const Lock lock(mutex_);
  return aborts_;
}

int FakeNccl::destroyed() const {
  const Lock lock(mutex_);
  return destroyed_;
}

std::string FakeNccl::Describe(NcclCode code) { return fmt::format("fake error {}", code); }

NcclCode FakeNccl::UniqueId(NcclId* id) {
  const Lock lock(mutex_);
  if (faults_[0].unique_id != kNcclSuccess) return faults_[0].unique_id;
  id->bytes[0] = static_cast<char>(next_id_++);
  return kNcclSuccess;
}

NcclCode FakeNccl::Init(NcclHandle* handle, int size, const NcclId& id, int rank,
                        const std::string&) {
  auto member = std::make_shared<Member>();
  member->rank = rank;
  {
    const Lock lock(mutex_);
    std::tie(member->job_rank, member->accelerator) = attached_.at(std::this_thread::get_id());
  }
  // The library takes the device that the thread is bound to. Asked without the lock: queues take
  // it while they have their own.
  AUTODIST_CHECK(member->accelerator->bound_here());
  const Lock lock(mutex_);
  if (faults_[member->job_rank].init_returns_error) return faults_[member->job_rank].init;
  std::shared_ptr<Clique>& clique = cliques_[id.bytes[0]];
  if (clique == nullptr) clique = std::make_shared<Clique>();
  clique->size = size;
  if (faults_[member->job_rank].init != kNcclInProgress) ++clique->joined;
  member->clique = clique;
  *handle = member.get();
  members_[member.get()] = std::move(member);
  return kNcclInProgress;
}

FakeNccl::Member& FakeNccl::Use(NcclHandle handle) {
  const auto member = members_.find(handle);
  AUTODIST_CHECK(member != members_.end());
  return *member->second;
}

NcclCode FakeNccl::AsyncError(NcclHandle handle) {
  const Lock lock(mutex_);
  Member& member = Use(handle);
  const FakeNcclFaults& faults = faults_[member.job_rank];
  if (faults.async != kNcclSuccess) return faults.async;
  if (member.joining) {
    if (faults.init != kNcclSuccess) return faults.init;
    if (member.clique->joined < member.clique->size) return kNcclInProgress;
    member.joining = false;
    member.polls_left = kPollsInProgress;
  }
  if (member.finalizing && member.clique->finalized < member.clique->size) return kNcclInProgress;
  return member.polls_left > 0 && --member.polls_left > 0 ? kNcclInProgress : kNcclSuccess;
}

NcclCode FakeNccl::Finalize(NcclHandle handle) {
  const Lock lock(mutex_);
  Member& member = Use(handle);
  AUTODIST_CHECK(!member.joining && !member.finalizing);
  member.finalizing = true;
  if (!faults_[member.job_rank].never_finalizes) ++member.clique->finalized;
  return kNcclInProgress;
}

NcclCode FakeNccl::Destroy(NcclHandle handle) {
  const Lock lock(mutex_);
  Member& member = Use(handle);
  AUTODIST_CHECK(member.finalizing && member.clique->finalized == member.clique->size);
  ++destroyed_;
  members_.erase(handle);
  return kNcclSuccess;
}

NcclCode FakeNccl::Abort(NcclHandle handle) {
  const Lock lock(mutex_);
  Member& member = Use(handle);
  member.aborted = true;  // lets its kernels end
  member.clique->broken = true;
  ++aborts_;
  members_.erase(handle);
  return kNcclSuccess;
}

NcclCode FakeNccl::GroupStart() {
  const Lock lock(mutex_);
  AUTODIST_CHECK(groups_.emplace(std::this_thread::get_id(), OpenGroup()).second);
  return kNcclSuccess;
}

NcclCode FakeNccl::GroupEnd() {
  OpenGroup group;
  {
    const Lock lock(mutex_);
    auto node = groups_.extract(std::this_thread::get_id());
    AUTODIST_CHECK(!node.empty());
    group = std::move(node.mapped());
  }
  if (group.handle == nullptr) return kNcclSuccess;
  // Side by side: each step goes on as soon as its peer has come.
  return Submit(group.handle, group.queue,
                [steps = std::move(group.steps), done = std::vector<bool>()]() mutable {
                  done.resize(steps.size());
                  for (size_t i = 0; i < steps.size(); ++i)
                    if (!done[i]) done[i] = steps[i]();
                  if (std::find(done.begin(), done.end(), false) != done.end()) return false;
                  done.clear();  // for the next replay
                  return true;
                });
}

NcclCode FakeNccl::Submit(NcclHandle handle, void* queue, Step step) {
  {
    const Lock lock(mutex_);
    const std::shared_ptr<Member> member = members_.at(handle);
    const auto group = groups_.find(std::this_thread::get_id());
    if (group != groups_.end()) {
      group->second.handle = handle;
      group->second.queue = queue;
      group->second.steps.push_back(std::move(step));
      return kNcclSuccess;
    }
    AUTODIST_CHECK(!member->joining && !member->finalizing && member->polls_left == 0);
    FakeNcclFaults& faults = faults_[member->job_rank];
    if (const NcclCode code = std::exchange(faults.next_call, kNcclSuccess); code != kNcclSuccess)
      return code;
    if (faults.never_enters)
      step = [this, member] {
        const Lock step_lock(mutex_);
        return member->aborted;
      };
    member->polls_left = kPollsInProgress;
  }
  // Without the lock: the queue takes it while it has its own.
  FakeAccelerator::Launch(*static_cast<device::Queue*>(queue), std::move(step));
  return kNcclInProgress;
}

// Takes its place in the next meeting of this `key`, and is done when all places are taken. The
// turn is counted when the queue gets here, so that a graph meets anew with every replay.
FakeNccl::Step FakeNccl::MeetingStep(NcclHandle handle, const std::string& key, size_t place,
                                     size_t places, Span<const void> in, Span<void> out,
                                     Exchange exchange) {
  const Lock lock(mutex_);
  return [=, this, member = members_.at(handle), meeting = std::shared_ptr<Meeting>()]() mutable {
    const Lock step_lock(mutex_);
    if (member->aborted) return true;
    if (member->clique->broken) return false;
    if (meeting == nullptr) {
      AUTODIST_CHECK(in.data == nullptr || member->accelerator->Owns(in.data, in.bytes));
      AUTODIST_CHECK(out.data == nullptr || member->accelerator->Owns(out.data, out.bytes));
      const std::string name =
          fmt::format("{} {}", key, member->turns[fmt::format("{} {}", key, place)]++);
      std::shared_ptr<Meeting>& entry = member->clique->meetings[name];
      if (entry == nullptr) entry = std::make_shared<Meeting>();
      meeting = entry;
      meeting->in.resize(places);
      meeting->out.resize(places);
      meeting->in[place] = in.data;
      meeting->out[place] = out.data;
      if (++meeting->came == places) {
        exchange(meeting->in, meeting->out);
        meeting->done = true;
        member->clique->meetings.erase(name);
      }
    }
    if (!meeting->done) return false;
    meeting.reset();
    return true;
  };
}

NcclCode FakeNccl::Collective(NcclHandle handle, void* queue, Span<const void> in, Span<void> out,
                              Exchange exchange) {
  const Place place = PlaceOf(handle);
  return Submit(handle, queue,
                MeetingStep(handle, "all", place.rank, place.ranks, in, out, std::move(exchange)));
}

NcclCode FakeNccl::Message(NcclHandle handle, void* queue, size_t from, size_t to,
                           Span<const void> in, Span<void> out) {
  const size_t bytes = std::max(in.bytes, out.bytes);
  return Submit(handle, queue,
                MeetingStep(handle, fmt::format("{} to {}", from, to), in.data != nullptr ? 0 : 1,
                            2, in, out, [bytes](const auto& ins, const auto& outs) {
                              std::memcpy(outs[1], ins[0], bytes);
                            }));
}

FakeNccl::Place FakeNccl::PlaceOf(NcclHandle handle) {
  const Lock lock(mutex_);
  const Member& member = Use(handle);
  return {static_cast<size_t>(member.rank), static_cast<size_t>(member.clique->size)};
}

NcclCode FakeNccl::AllReduce(const void* in, void* out, size_t count, core::DType dtype,
                             ReduceOp op, NcclHandle handle, void* queue) {
  const size_t bytes = count * core::SizeOf(dtype);
  return Collective(handle, queue, {in, bytes}, {out, bytes},
                    [=](const auto& ins, const auto& outs) {
                      std::vector<std::byte> result(bytes);
                      ReduceInOrder(op, dtype, ins, static_cast<int64_t>(count), result.data());
                      for (void* peer : outs) std::memcpy(peer, result.data(), bytes);
                    });
}

NcclCode FakeNccl::AllGather(const void* in, void* out, size_t count, core::DType dtype,
                             NcclHandle handle, void* queue) {
  const size_t bytes = count * core::SizeOf(dtype);
  return Collective(handle, queue, {in, bytes}, {out, PlaceOf(handle).ranks * bytes},
                    [=](const auto& ins, const auto& outs) {
                      for (void* peer : outs)
                        for (size_t rank = 0; rank < ins.size(); ++rank)
                          std::memmove(static_cast<std::byte*>(peer) + rank * bytes, ins[rank],
                                       bytes);
                    });
}

NcclCode FakeNccl::ReduceScatter(const void* in, void* out, size_t count, core::DType dtype,
                                 ReduceOp op, NcclHandle handle, void* queue) {
  const size_t bytes = count * core::SizeOf(dtype);
  const size_t ranks = PlaceOf(handle).ranks;
  return Collective(
      handle, queue, {in, ranks * bytes}, {out, bytes}, [=](const auto& ins, const auto& outs) {
        std::vector<std::byte> result(ranks * bytes);
        ReduceInOrder(op, dtype, ins, static_cast<int64_t>(ranks * count), result.data());
        for (size_t rank = 0; rank < ranks; ++rank)
          std::memcpy(outs[rank], result.data() + rank * bytes, bytes);
      });
}

NcclCode FakeNccl::Broadcast(const void* in, void* out, size_t count, core::DType dtype, int root,
                             NcclHandle handle, void* queue) {
  const size_t bytes = count * core::SizeOf(dtype);
  return Collective(handle, queue, {in, bytes}, {out, bytes},
                    [=](const auto& ins, const auto& outs) {
                      for (void* peer : outs)
                        std::memmove(peer, ins[static_cast<size_t>(root)], bytes);
                    });
}

NcclCode FakeNccl::Send(const void* data, size_t count, core::DType dtype, int to,
                        NcclHandle handle, void* queue) {
  return Message(handle, queue, PlaceOf(handle).rank, static_cast<size_t>(to),
                 {data, count * core::SizeOf(dtype)}, {});
}

NcclCode FakeNccl::Receive(void* data, size_t count, core::DType dtype, int from, NcclHandle handle,
                           void* queue) {
  return Message(handle, queue, static_cast<size_t>(from), PlaceOf(handle).rank, {},
                 {data, count * core::SizeOf(dtype)});
}

}  // namespace autodist::comm::testing
