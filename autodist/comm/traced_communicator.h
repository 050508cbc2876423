// A communicator that records what the caller spends in it.
#ifndef AUTODIST_COMM_TRACED_COMMUNICATOR_H_
#define AUTODIST_COMM_TRACED_COMMUNICATOR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "autodist/comm/communicator.h"
#include "autodist/device/op_log.h"

namespace autodist::comm {

// Passes every call on to `inner`. Calls, and waits for what they started, are operations of the
// log (OpKind::kCommunication): moving data, and waiting for peers. Their bytes are those of the
// tensors handed in. Used by the thread that the log belongs to.
class TracedCommunicator final : public Communicator {
 public:
  // `log` must outlive this; several communicators may share it. Groups split off are traced into
  // it too.
  TracedCommunicator(std::unique_ptr<Communicator> inner, device::OpLog& log);

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& name() const override { return inner_->name(); }
  void Abort(const core::Error& reason) noexcept override { inner_->Abort(reason); }
  void ThrowIfAborted() override { inner_->ThrowIfAborted(); }
  bool ClaimReport() noexcept override { return inner_->ClaimReport(); }

 protected:
  // Where the inner one's memory is only it knows.
  void DoCopy(core::ConstTensorView from, core::TensorView to) override {
    inner_->AllGather(from, to).Wait();
  }
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
  Work Traced(const char* name, uint64_t bytes, const Start& start);

  std::unique_ptr<Communicator> inner_;
  device::OpLog& log_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_TRACED_COMMUNICATOR_H_
