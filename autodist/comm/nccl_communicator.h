// Ranks that have a GPU each, through NCCL. In one process or several, on one host or many: NCCL
// moves the tensors; a communicator of the host (threads, processes, MPI) brings the ranks
// together, carries errors between them, and is what barriers and splits are made of.
//
// The contract is that of communicator.h, with tensors in device memory, but for:
//   - Wait() orders work, it does not wait: what is queued on the same queue afterwards sees the
//     result. The host sees it after Synchronize().
//   - Sums are in NCCL's order: the same bits on every rank, not those of the other backends.
//   - Send is not buffered: its place in the queue ends when the receiver has come. Two ranks that
//     send to each other before they receive wait until the time-out.
//   - Calls that differ between ranks are not named: they end at the time-out, or wrong. A time-out
//     names the call and who waited, not who did not come.
// Calls while the queue captures are recorded with the rest of the graph; all ranks then capture
// and replay in the same order.
//
// runtime/job.h makes the world's communicator of ranks with a GPU one of these once kernels for
// GPUs are there; today only tests do.
#ifndef AUTODIST_COMM_NCCL_COMMUNICATOR_H_
#define AUTODIST_COMM_NCCL_COMMUNICATOR_H_

#include <memory>
#include <optional>
#include <string>

#include "autodist/comm/communicator.h"
#include "autodist/comm/nccl_library.h"
#include "autodist/comm/nccl_member.h"
#include "autodist/device/accelerator.h"

namespace autodist::comm {

class NcclCommunicator final : public Communicator {
 public:
  // Collective over the ranks of `host`, each with its own accelerator and the queue on which its
  // collectives run; both must outlive this. Throws core::Error as NcclMember does.
  NcclCommunicator(std::shared_ptr<NcclLibrary> library, device::Accelerator& accelerator,
                   device::Queue& queue, std::unique_ptr<Communicator> host,
                   const CommOptions& options);

  // The host waits until everything queued so far is done. Throws when that does not come to be.
  void Synchronize();

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  const std::string& name() const override { return host_->name(); }
  void Abort(const core::Error& reason) noexcept override { host_->Abort(reason); }
  void ThrowIfAborted() override { host_->ThrowIfAborted(); }
  bool ClaimReport() noexcept override { return host_->ClaimReport(); }

 protected:
  void DoCopy(core::ConstTensorView from, core::TensorView to) override;
  Work DoAllReduce(core::TensorView inout, ReduceOp op) override;
  Work DoAllGather(core::ConstTensorView part, core::TensorView whole) override;
  Work DoReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) override;
  Work DoBroadcast(core::TensorView inout, int root) override;
  Work DoAllToAll(core::ConstTensorView in, core::TensorView out) override;
  Work DoSend(core::ConstTensorView data, int to) override;
  Work DoReceive(core::TensorView data, int from) override;
  // Of the hosts' ranks: it does not wait for the queues.
  void DoBarrier(std::optional<double> limit_s) override { host_->Barrier(limit_s); }
  std::unique_ptr<Communicator> DoSplit(int color, int key, const std::string& name) override;

 private:
  template <typename Start>
  Work Enqueue(CallKind kind, core::ConstTensorView given, ReduceOp op, int root,
               const Start& start);

  const std::shared_ptr<NcclLibrary> library_;
  device::Accelerator& accelerator_;
  device::Queue& queue_;
  const std::unique_ptr<Communicator> host_;
  const CommOptions options_;
  std::optional<NcclMember> member_;  // with two ranks or more
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_NCCL_COMMUNICATOR_H_
