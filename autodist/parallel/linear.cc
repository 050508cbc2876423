#include "autodist/parallel/linear.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/kernels/activation.h"
#include "autodist/kernels/elementwise.h"

namespace autodist::parallel {
void Linear::ForwardGated(device::Stream& stream, core::ConstTensorView x_TK,
                          kernels::ActivationKind kind, core::TensorView gate_up_TN,
                          core::TensorView y_TF) {
  Forward(stream, x_TK, gate_up_TN);
  kernels::ActivateGated(stream, kind, gate_up_TN.Cols(0, y_TF.cols()),
                         gate_up_TN.Cols(y_TF.cols(), y_TF.cols()), y_TF);
}

void Linear::ForwardAddMap(device::Stream& stream, core::ConstTensorView x_TK,
                           core::TensorView y_TN, const RowMap& map, core::TensorView z) {
  ForwardAdd(stream, x_TK, y_TN);
  map(y_TN, z);
}

void LocalLinear::Forward(device::Stream& stream, core::ConstTensorView x_TK,
                          core::TensorView y_TN) {
  kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias);
}

void LocalLinear::ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                             core::TensorView y_TN) {
  kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias, /*accumulate=*/true);
}

ColumnParallelLinear::ColumnParallelLinear(LinearWeight weight, comm::Communicator& tp,
                                           std::vector<spec::Range> ranges)
    : weight_(weight), tp_(&tp), ranges_(std::move(ranges)) {
  AUTODIST_CHECK_EQ(ranges_.size(), static_cast<size_t>(tp.size()));
  AUTODIST_CHECK_EQ(ranges_[static_cast<size_t>(tp.rank())].size(), weight_.weight.layout.n);
  for (size_t r = 1; r < ranges_.size(); ++r)
    AUTODIST_CHECK_EQ(ranges_[r].first, ranges_[r - 1].last);
}

void ColumnParallelLinear::Forward(device::Stream& stream, core::ConstTensorView x_TK,
                                   core::TensorView y_TN) {
  if (tp_ == nullptr) {
    kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias);
    return;
  }
  const int64_t width = weight_.weight.layout.n;
  const size_t bytes = static_cast<size_t>(x_TK.rows() * width) * sizeof(float);
  if (own_.bytes() < bytes) own_ = device::Buffer(bytes);
  const core::TensorView own(own_.as<float>(), x_TK.rows(), width);
  kernels::Linear(stream, x_TK, weight_.weight, own, weight_.bias);
  GatherColumns(stream, *tp_, ranges_, own, y_TN);
}

void ColumnParallelLinear::ForwardGated(device::Stream& stream, core::ConstTensorView x_TK,
                                        kernels::ActivationKind kind, core::TensorView gate_up_TN,
                                        core::TensorView y_TF) {
  if (tp_ != nullptr) return Linear::ForwardGated(stream, x_TK, kind, gate_up_TN, y_TF);
  kernels::LinearGated(stream, x_TK, weight_.weight, weight_.bias, kind, gate_up_TN, y_TF);
}

void ColumnParallelLinear::ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                                      core::TensorView y_TN) {
  AUTODIST_CHECK(tp_ == nullptr);  // no layer adds gathered columns
  kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias, /*accumulate=*/true);
}

void GatherColumns(device::Stream& stream, comm::Communicator& tp,
                   const std::vector<spec::Range>& ranges, core::ConstTensorView own_TN,
                   core::TensorView y_TN) {
  if (tp.size() == 1) {
    kernels::Convert(stream, own_TN, y_TN);
    return;
  }
  // Parts differ in size, an all-gather's do not: each rank's block is as wide as the widest.
  int64_t width = 0;
  for (const spec::Range& range : ranges) width = std::max(width, range.size());
  const int64_t rows = own_TN.rows();
  const device::Buffer blocks(static_cast<size_t>(rows * width * tp.size()) * sizeof(float));
  const auto block = [&](int r) {
    return core::TensorView(blocks.as<float>() + r * rows * width, rows, width);
  };
  kernels::Convert(stream, own_TN, block(tp.rank()).Cols(0, own_TN.cols()));
  tp.AllGather(block(tp.rank()), core::TensorView(blocks.as<float>(), rows * tp.size(), width))
      .Wait();
  for (int r = 0; r < tp.size(); ++r) {
    const spec::Range& range = ranges[static_cast<size_t>(r)];
    kernels::Convert(stream, block(r).Cols(0, range.size()), y_TN.Cols(range.first, range.size()));
  }
}

void RowParallelLinear::Forward(device::Stream& stream, core::ConstTensorView x_TK,
                                core::TensorView y_TN) {
  if (tp_.size() == 1) {
    kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias);
    return;
  }
  kernels::Linear(stream, x_TK, weight_.weight, y_TN);
  tp_.AllReduce(y_TN).Wait();
  if (weight_.bias.elements() > 0) kernels::AddBias(stream, weight_.bias, y_TN);
}

// One order of additions whatever the number of rows: partial sums by rank, bias, y.
void RowParallelLinear::AddSums(device::Stream& stream, core::TensorView sums_TN,
                                core::TensorView y_TN) const {
  if (weight_.bias.elements() > 0) kernels::AddBias(stream, weight_.bias, sums_TN);
  kernels::Add(stream, sums_TN, y_TN);
}

int64_t RowParallelLinear::SharedRows(int64_t rows) const {
  return tp_.size() > 1 && rows >= spec::kRowsToShare ? rows / tp_.size() * tp_.size() : 0;
}

core::TensorView RowParallelLinear::OwnRows(core::TensorView all) const {
  const int64_t share = SharedRows(all.rows()) / tp_.size();
  return all.Rows(tp_.rank() * share, share);
}

void RowParallelLinear::AddOwn(device::Stream& stream, core::ConstTensorView x_TK,
                               core::TensorView y_TN) {
  if (tp_.size() == 1) {
    kernels::Linear(stream, x_TK, weight_.weight, y_TN, weight_.bias, /*accumulate=*/true);
    return;
  }
  const int64_t rows = x_TK.rows();
  const size_t bytes = static_cast<size_t>(rows * outputs()) * sizeof(float);
  if (partial_.bytes() < bytes) partial_ = device::Buffer(bytes);
  const core::TensorView partial(partial_.as<float>(), rows, outputs());
  kernels::Linear(stream, x_TK, weight_.weight, partial);
  const int64_t shared = SharedRows(rows);
  if (shared > 0) {
    const core::TensorView sums = OwnRows(partial);
    tp_.ReduceScatter(partial.Rows(0, shared), sums).Wait();
    AddSums(stream, sums, OwnRows(y_TN));
  }
  if (shared < rows) {
    const core::TensorView rest = partial.Rows(shared, rows - shared);
    tp_.AllReduce(rest).Wait();
    AddSums(stream, rest, y_TN.Rows(shared, rows - shared));
  }
}

void RowParallelLinear::ForwardAdd(device::Stream& stream, core::ConstTensorView x_TK,
                                   core::TensorView y_TN) {
  AddOwn(stream, x_TK, y_TN);
  const int64_t shared = SharedRows(y_TN.rows());
  if (shared > 0) tp_.AllGather(OwnRows(y_TN), y_TN.Rows(0, shared)).Wait();
}

void RowParallelLinear::ForwardAddMap(device::Stream& stream, core::ConstTensorView x_TK,
                                      core::TensorView y_TN, const RowMap& map,
                                      core::TensorView z) {
  AddOwn(stream, x_TK, y_TN);
  const int64_t shared = SharedRows(y_TN.rows());
  if (shared > 0) {
    map(OwnRows(y_TN), OwnRows(z));
    tp_.AllGather(OwnRows(z), z.Rows(0, shared)).Wait();
  }
  const int64_t rest = y_TN.rows() - shared;
  if (rest > 0) map(y_TN.Rows(shared, rest), z.Rows(shared, rest));
}

}  // namespace autodist::parallel
