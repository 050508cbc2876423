// Linear layers whose weight may be spread over the ranks of a tp group.
//
// The model calls Forward() and knows nothing of ranks. Shapes: T tokens, K inputs, N outputs of
// this rank.
//   column:  W = [W_0; W_1; ...]   y_r = x W_r^T + b_r            no communication, unless the
//   output is gathered row:     W = [W_0, W_1, ...]   y = sum_r x_r W_r^T, then + b   one
//   all-reduce; the bias is added once, after it
// Sums over ranks are in f32 and in rank order (comm/communicator.h), so every rank holds the same
// bits.
#ifndef AUTODIST_PARALLEL_LINEAR_H_
#define AUTODIST_PARALLEL_LINEAR_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/core/tensor_view.h"
#include "autodist/device/buffer.h"
#include "autodist/device/stream.h"
#include "autodist/kernels/matmul.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::parallel {

// A weight and its bias [1, N] f32 (an empty view: none). Owned by the loaded shard, which must
// outlive the layer.
struct LinearWeight {
  kernels::PackedWeight weight;
  core::ConstTensorView bias;
};

// Computes rows of z from the same rows of y; may be given any part of the rows.
using RowMap = std::function<void(core::ConstTensorView y, core::TensorView z)>;

class Linear {
 public:
  virtual ~Linear() = default;
  // y = x W^T + b. Shapes: x [T, inputs()], y [T, outputs()], T may be 0. Dtypes: x as the weight,
  // y f32. All ranks of the group call it with the same T. Throws core::Error when a peer is lost.
  virtual void Forward(device::Stream& stream, core::ConstTensorView x_TK,
                       core::TensorView y_TN) = 0;
  // y = act(gate) * up with [gate, up] = x W^T + b side by side, each outputs() / 2 wide, for
  // layers whose ranks keep their outputs. Shapes: y [T, outputs() / 2], f32 or as x. gate_up [T,
  // outputs()] f32 is working memory.
  virtual void ForwardGated(device::Stream& stream, core::ConstTensorView x_TK,
                            kernels::ActivationKind kind, core::TensorView gate_up_TN,
                            core::TensorView y_TF);
  // y += x W^T + b, the same on every rank when y was: what a residual connection wants. As above;
  // y is contiguous.
  virtual void ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                          core::TensorView y_TN) = 0;
  // y += x W^T + b and z = map(y), the same z on every rank. Of y, a rank is given and keeps only
  // the rows that it maps, as long as its next calls are for these rows, too; ForwardAdd() gives it
  // all of them again. So ranks that share the rows of a sum map each row once. Shapes: z [T, any].
  virtual void ForwardAddMap(device::Stream& stream, core::ConstTensorView x_TK,
                             core::TensorView y_TN, const RowMap& map, core::TensorView z);
  virtual int64_t inputs() const = 0;   // columns that this rank is given
  virtual int64_t outputs() const = 0;  // columns that this rank gets
};

// The whole weight on this rank.
class LocalLinear final : public Linear {
 public:
  explicit LocalLinear(LinearWeight weight) : weight_(weight) {}
  void Forward(device::Stream& stream, core::ConstTensorView x_TK, core::TensorView y_TN) override;
  void ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                  core::TensorView y_TN) override;
  int64_t inputs() const override { return weight_.weight.layout.k; }
  int64_t outputs() const override { return weight_.weight.layout.n; }

 private:
  LinearWeight weight_;
};

// Outputs split: this rank computes its own.
class ColumnParallelLinear final : public Linear {
 public:
  // Each rank keeps its part of the output.
  explicit ColumnParallelLinear(LinearWeight weight) : weight_(weight) {}
  // With the output gathered: every rank gets all columns, in rank order. ranges[r] is the part of
  // rank r; parts may differ in size and may be empty. `tp` must outlive the layer.
  ColumnParallelLinear(LinearWeight weight, comm::Communicator& tp,
                       std::vector<spec::Range> ranges);

  void Forward(device::Stream& stream, core::ConstTensorView x_TK, core::TensorView y_TN) override;
  void ForwardGated(device::Stream& stream, core::ConstTensorView x_TK,
                    kernels::ActivationKind kind, core::TensorView gate_up_TN,
                    core::TensorView y_TF) override;
  void ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                  core::TensorView y_TN) override;
  int64_t inputs() const override { return weight_.weight.layout.k; }
  int64_t outputs() const override {
    return ranges_.empty() ? weight_.weight.layout.n : ranges_.back().last;
  }

 private:
  LinearWeight weight_;
  comm::Communicator* tp_ = nullptr;  // set: gather
  std::vector<spec::Range> ranges_;
  device::Buffer own_;
};

// Inputs split: the ranks' partial sums are added. With many rows, bias and y are added where the
// sums are made: each rank does so for its part of the rows, and hands them, or what becomes of
// them, on. `tp` must outlive the layer.
class RowParallelLinear final : public Linear {
 public:
  RowParallelLinear(LinearWeight weight, comm::Communicator& tp) : weight_(weight), tp_(tp) {}
  // REQUIRES y contiguous.
  void Forward(device::Stream& stream, core::ConstTensorView x_TK, core::TensorView y_TN) override;
  void ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                  core::TensorView y_TN) override;
  void ForwardAddMap(device::Stream& stream, core::ConstTensorView x_TK, core::TensorView y_TN,
                     const RowMap& map, core::TensorView z) override;
  int64_t inputs() const override { return weight_.weight.layout.k; }
  int64_t outputs() const override { return weight_.weight.layout.n; }

 private:
  // The rows of y that every rank adds a part of, first those of rank 0; the rest is added by all.
  int64_t SharedRows(int64_t rows) const;
  // y += x W^T + b: of the shared rows those of this rank, and all others.
  void AddOwn(device::Stream& stream, core::ConstTensorView x_TK, core::TensorView y_TN);
  // This rank's rows of a tensor whose shared rows are spread.
  core::TensorView OwnRows(core::TensorView all) const;
  void AddSums(device::Stream& stream, core::TensorView sums_TN, core::TensorView y_TN) const;

  LinearWeight weight_;
  comm::Communicator& tp_;
  device::Buffer partial_;
};

// y = the ranks' columns side by side, the same on every rank: ranges[r] are the columns of rank r
// in y; parts may differ in size and may be empty. Shapes: own [T, ranges[rank].size()], y [T,
// ranges.back().last], f32.
void GatherColumns(device::Stream& stream, comm::Communicator& tp,
                   const std::vector<spec::Range>& ranges, core::ConstTensorView own_TN,
                   core::TensorView y_TN);

}  // namespace autodist::parallel

#endif  // AUTODIST_PARALLEL_LINEAR_H_
