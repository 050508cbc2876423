#include "autodist/kernels/matmul.h"

#include <algorithm>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/linear_call.h"
#include "autodist/kernels/quantise.h"
#include "autodist/kernels/weight_panel.h"

namespace autodist::kernels {
namespace {

using core::DType;

device::OpKind KindOf(int64_t rows) {
  return rows < kMatrixVectorRows ? device::OpKind::kMatrixVector : device::OpKind::kGemm;
}

// The codes of a quantised weight times x as it is.
void LinearCodes(device::Stream& stream, const cpu::KernelTable& table, const LinearCall& call) {
  const PackedLayout& layout = call.weight.layout;
  const int64_t at_once = layout.format == core::WeightFormat::kInt8 ? table.blocks_at_once : 1;
  SplitLinear(stream, call.x_MK.rows(), layout.blocks(), layout.block_bytes(), at_once,
              [&](int64_t first_row, int64_t rows, int64_t block, int64_t blocks, int worker) {
                cpu::QuantisedTask task{call.Part(first_row, rows, block, blocks), layout.format,
                                        layout.lead, call.x_MK.dtype()};
                task.linear.x = call.x_MK.Rows(first_row, rows).data();
                task.linear.x_stride = call.x_MK.stride();
                table.linear_quantised(
                    task, stream.Scratch(worker, cpu::QuantisedScratchBytes(layout.padded_k())));
              });
}

// The rows of the whole call decide, not those of a thread, so that bits do not depend on threads.
bool MultipliesCodes(const device::Stream& stream, const cpu::KernelTable& table,
                     const LinearCall& call) {
  const PackedLayout& layout = call.weight.layout;
  return layout.quantised() && (call.x_MK.rows() <= table.few_rows || stream.deterministic() ||
                                !WeightPanel::Possible(layout, call.x_MK.dtype()));
}

// LinearGated() of rows as they lie.
void GateRows(device::Stream& stream, const LinearCall& call, ActivationKind kind,
              core::TensorView y_MF) {
  constexpr int64_t kBlock = PackedLayout::kBlock;
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const auto kernel =
      call.x_MK.dtype() == DType::kBF16 ? table.linear_gated_bf16 : table.linear_gated_f32;
  SplitLinear(stream, y_MF.rows(), y_MF.cols() / kBlock, 2 * call.weight.layout.block_bytes(),
              std::max<int64_t>(1, table.blocks_at_once / 2),
              [&](int64_t row, int64_t rows, int64_t block, int64_t blocks, int worker) {
                cpu::GatedTask task =
                    GatedShare(call, kind, y_MF, row, rows, block * kBlock, blocks * kBlock);
                task.linear.x = call.x_MK.Rows(row, rows).data();
                task.linear.x_stride = call.x_MK.stride();
                kernel(task, stream.Scratch(worker, cpu::LinearScratchBytes()));
              });
}

// Whether a kernel keeps gates and ups together.
bool CanGate(device::Stream& stream, const LinearCall& call) {
  const PackedLayout& layout = call.weight.layout;
  const int64_t whole = IsTiled(stream, call) ? PackedLayout::kBlock / 2 : PackedLayout::kBlock;
  return !layout.quantised() && layout.n / 2 % whole == 0;
}

// What the products demand of their operands.
void CheckOperands(core::ConstTensorView x_MK, const PackedLayout& layout,
                   core::ConstTensorView bias_N) {
  AUTODIST_CHECK(x_MK.dtype() == DType::kF32 || x_MK.dtype() == DType::kBF16);
  AUTODIST_CHECK(layout.quantised() || layout.format == core::FormatOf(x_MK.dtype()));
  AUTODIST_CHECK_EQ(x_MK.cols(), layout.k);
  AUTODIST_CHECK_GE(layout.k, 1);
  AUTODIST_CHECK(bias_N.elements() == 0 || (bias_N.dtype() == DType::kF32 && bias_N.rows() == 1 &&
                                            bias_N.cols() == layout.n));
}

}  // namespace

PackedLayout::PackedLayout(core::WeightFormat weight_format, int64_t outputs, int64_t inputs,
                           int64_t inputs_before)
    : format(weight_format), n(outputs), k(inputs), lead(inputs_before) {
  AUTODIST_CHECK(n >= 0 && k >= 0);
  AUTODIST_CHECK(lead == 0 || (quantised() && lead > 0 && lead < core::kGroupInputs));
}

size_t PackedLayout::block_bytes() const {
  if (quantised()) return static_cast<size_t>(padded_k() / core::kGroupInputs) * GroupBytes(format);
  const size_t element =
      format == core::WeightFormat::kF32 ? sizeof(float) : sizeof(core::BFloat16);
  return static_cast<size_t>(kBlock * padded_k()) * element;
}

int64_t PackedLayout::Index(int64_t output, int64_t input) const {
  AUTODIST_CHECK(!quantised());
  const int64_t block = output / kBlock * kBlock * padded_k();
  if (format == core::WeightFormat::kF32) return block + input * kBlock + output % kBlock;
  return block + input / 2 * (2 * kBlock) + output % kBlock * 2 + input % 2;
}

void Linear(device::Stream& stream, core::ConstTensorView x_MK, const PackedWeight& weight,
            core::TensorView y_MN, core::ConstTensorView bias_N, bool accumulate) {
  const PackedLayout& layout = weight.layout;
  CheckOperands(x_MK, layout, bias_N);
  AUTODIST_CHECK(y_MN.dtype() == DType::kF32);
  AUTODIST_CHECK_EQ(y_MN.cols(), layout.n);
  AUTODIST_CHECK_EQ(x_MK.rows(), y_MN.rows());
  if (y_MN.elements() == 0) return;
  const device::OpScope op(stream.log(), [&] {
    return device::OpCost{
        .kind = KindOf(x_MK.rows()),
        .name = "linear",
        .rows = x_MK.rows(),
        .bytes =
            layout.bytes() + x_MK.bytes() + bias_N.bytes() + y_MN.bytes() * (accumulate ? 2 : 1),
        .flops = 2.0 * static_cast<double>(y_MN.elements()) * static_cast<double>(layout.k)};
  });

  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const LinearCall call{x_MK, weight, y_MN, bias_N, accumulate};
  if (MultipliesCodes(stream, table, call)) return LinearCodes(stream, table, call);
  if (IsTiled(stream, call)) return LinearTiled(stream, call);
  const auto kernel = x_MK.dtype() == DType::kBF16 ? table.linear_bf16 : table.linear_f32;
  SplitLinear(stream, x_MK.rows(), layout.blocks(), layout.block_bytes(), table.blocks_at_once,
              [&](int64_t first_row, int64_t rows, int64_t block, int64_t blocks, int worker) {
                cpu::LinearTask task = call.Part(first_row, rows, block, blocks);
                task.x = x_MK.Rows(first_row, rows).data();
                task.x_stride = x_MK.stride();
                RunOnWeight(
                    stream, call, task, worker,
                    [](const cpu::LinearTask&) { return cpu::LinearScratchBytes(); }, kernel);
              });
}

void LinearGated(device::Stream& stream, core::ConstTensorView x_MK, const PackedWeight& weight,
                 core::ConstTensorView bias_N, ActivationKind kind, core::TensorView gate_up_MN,
                 core::TensorView y_MF) {
  const int64_t gates = weight.layout.n / 2;
  CheckOperands(x_MK, weight.layout, bias_N);
  AUTODIST_CHECK(weight.layout.n == 2 * gates && y_MF.cols() == gates);
  AUTODIST_CHECK(y_MF.dtype() == DType::kF32 || y_MF.dtype() == DType::kBF16);
  AUTODIST_CHECK_EQ(x_MK.rows(), y_MF.rows());
  AUTODIST_CHECK(gate_up_MN.dtype() == DType::kF32 && gate_up_MN.rows() == x_MK.rows() &&
                 gate_up_MN.cols() == weight.layout.n);
  const LinearCall call{x_MK, weight, gate_up_MN, bias_N, false};
  if (y_MF.elements() == 0) return;
  if (!CanGate(stream, call)) {
    Linear(stream, x_MK, weight, gate_up_MN, bias_N);
    ActivateGated(stream, kind, gate_up_MN.Cols(0, gates), gate_up_MN.Cols(gates, gates), y_MF);
    return;
  }
  const device::OpScope op(stream.log(), [&] {
    return device::OpCost{
        .kind = KindOf(x_MK.rows()),
        .name = "linear_gated",
        .rows = x_MK.rows(),
        .bytes = weight.layout.bytes() + x_MK.bytes() + bias_N.bytes() + y_MF.bytes(),
        .flops = 2.0 * static_cast<double>(x_MK.elements()) * static_cast<double>(weight.layout.n)};
  });
  if (IsTiled(stream, call)) return LinearTiledGated(stream, call, kind, y_MF);
  GateRows(stream, call, kind, y_MF);
}

}  // namespace autodist::kernels
