// A communicator that measures what the caller spends in it.
#ifndef AUTODIST_COMM_TRACED_COMMUNICATOR_H_
#define AUTODIST_COMM_TRACED_COMMUNICATOR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "autodist/comm/communicator.h"

namespace autodist::comm {

// Since the totals were last cleared, on this rank.
struct CommTotals {
  double seconds = 0;  // inside calls and waits: moving data, and waiting for peers
  uint64_t calls = 0;
  uint64_t bytes = 0;  // of the tensors handed in
};

// Passes every call on to `inner`. The totals are read by the thread that communicates.
class TracedCommunicator final : public Communicator {
 public:
  // `totals` must outlive this; several communicators may share it. Groups split off are traced
  // into it too.
  TracedCommunicator(std::unique_ptr<Communicator> inner, CommTotals& totals);

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& name() const override { return inner_->name(); }
  void Abort(const core::Error& reason) noexcept override { inner_->Abort(reason); }
  bool ClaimReport() noexcept override { return inner_->ClaimReport(); }

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
  template <typename Start>
  Work Traced(uint64_t bytes, const Start& start);

  std::unique_ptr<Communicator> inner_;
  CommTotals& totals_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_TRACED_COMMUNICATOR_H_
