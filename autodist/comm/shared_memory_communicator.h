// The collectives over shared memory: one engine for ranks that are threads, processes, or MPI
// ranks of one host.
#ifndef AUTODIST_COMM_SHARED_MEMORY_COMMUNICATOR_H_
#define AUTODIST_COMM_SHARED_MEMORY_COMMUNICATOR_H_

#include <memory>
#include <string>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/group_member.h"
#include "autodist/comm/mailbox.h"

namespace autodist::comm {

class SharedMemoryCommunicator final : public Communicator {
 public:
  // The group of all ranks of the job. Each rank makes its own.
  static std::unique_ptr<Communicator> World(std::shared_ptr<JobRank> job);

  SharedMemoryCommunicator(std::shared_ptr<JobRank> job, std::byte* block, int rank,
                           std::vector<int> members, std::string name);

  int rank() const override { return member_.rank(); }
  int size() const override { return member_.size(); }
  const std::string& name() const override { return member_.name(); }
  void Abort(const core::Error& reason) noexcept override { member_.Abort(reason); }
  void ThrowIfAborted() override {
    const JobMemory& job = *member_.job().memory;
    if (job.aborted()) throw job.abort_reason();
  }
  bool ClaimReport() noexcept override {
    return member_.job().memory->ClaimReport(member_.job().rank);
  }

 protected:
  Work DoAllReduce(core::TensorView inout, ReduceOp op) override;
  Work DoAllGather(core::ConstTensorView part, core::TensorView whole) override;
  Work DoReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) override;
  Work DoBroadcast(core::TensorView inout, int root) override;
  Work DoAllToAll(core::ConstTensorView in, core::TensorView out) override;
  Work DoSend(core::ConstTensorView data, int to) override;
  Work DoReceive(core::TensorView data, int from) override;
  void DoBarrier(std::optional<double> limit_s) override;
  std::unique_ptr<Communicator> DoSplit(int color, int key, const std::string& name) override;

 private:
  void AllReduceOneRound(core::TensorView inout, ReduceOp op);
  void AllReduceDirect(core::TensorView inout, ReduceOp op);
  void AllReduceInChunks(core::TensorView inout, ReduceOp op);
  // Whether this is worth the two meetings that working on the tensors of peers takes.
  bool Direct(size_t bytes) const;

  GroupMember member_;
  Mailbox mailbox_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_SHARED_MEMORY_COMMUNICATOR_H_
