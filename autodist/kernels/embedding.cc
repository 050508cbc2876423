#include "autodist/kernels/embedding.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/quantise.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {
namespace {

using core::DType;

// copy(row of the table, y row) for each id that the table holds; zeros for the others.
template <typename Copy>
void ForEachId(device::Stream& stream, std::span<const int32_t> ids_T, int64_t first_id,
               int64_t held, double element_bytes, core::TensorView y_TD, const Copy& copy) {
  AUTODIST_CHECK_EQ(static_cast<int64_t>(ids_T.size()), y_TD.rows());
  const device::OpScope op(stream.log(), [&] {
    const auto read = static_cast<size_t>(static_cast<double>(y_TD.elements()) * element_bytes);
    return device::OpCost{.kind = device::OpKind::kEmbedding,
                          .name = "embed",
                          .rows = y_TD.rows(),
                          .bytes = read + y_TD.bytes()};
  });
  ForEachRow(stream, y_TD, [&](int64_t row) {
    float* const y = y_TD.row<float>(row);
    const int64_t index = ids_T[static_cast<size_t>(row)] - first_id;
    if (index < 0 || index >= held) {
      std::fill_n(y, y_TD.cols(), 0.0f);
    } else {
      copy(index, y);
    }
  });
}

// y[0, k) from one output of a packed bf16 block: pairs of inputs, a block's width apart. Each pair
// is in a cache line of its own, which most likely comes from memory; so many are asked for ahead.
void WidenPairs(const core::BFloat16* first, int64_t k, float* y) {
  constexpr int64_t kPairElements = 2 * PackedLayout::kBlock;
  constexpr int64_t kPairsAhead = 64;
  const core::BFloat16* pair = first;
  for (int64_t i = 0; i + 2 <= k; i += 2, pair += kPairElements) {
    __builtin_prefetch(pair + kPairsAhead * kPairElements);
    uint32_t bits;
    std::memcpy(&bits, pair, sizeof(bits));
    y[i] = std::bit_cast<float>(bits << 16);
    y[i + 1] = std::bit_cast<float>(bits & 0xffff0000u);
  }
  if (k % 2 != 0) y[k - 1] = core::ToFloat(*pair);
}

}  // namespace

void Embed(device::Stream& stream, std::span<const int32_t> ids_T, int64_t first_id,
           core::ConstTensorView table_VD, core::TensorView y_TD) {
  AUTODIST_CHECK_EQ(table_VD.cols(), y_TD.cols());
  const cpu::KernelTable& kernels = cpu::TableFor(stream.isa());
  ForEachId(stream, ids_T, first_id, table_VD.rows(),
            static_cast<double>(core::SizeOf(table_VD.dtype())), y_TD,
            [&](int64_t index, float* y) {
              kernels.convert(table_VD.dtype(), table_VD.Rows(index, 1).data(), DType::kF32, y,
                              y_TD.cols());
            });
}

void Embed(device::Stream& stream, std::span<const int32_t> ids_T, int64_t first_id,
           const PackedWeight& table_VD, core::TensorView y_TD) {
  const PackedLayout& layout = table_VD.layout;
  AUTODIST_CHECK_EQ(layout.k, y_TD.cols());
  const double element_bytes = core::BitsPerWeight(layout.format) / 8;
  ForEachId(stream, ids_T, first_id, layout.n, element_bytes, y_TD, [&](int64_t index, float* y) {
    if (layout.quantised()) {
      DequantiseRow(table_VD, index, y);
    } else if (layout.format == core::WeightFormat::kF32) {
      const auto* const first = static_cast<const float*>(table_VD.data) + layout.Index(index, 0);
      for (int64_t k = 0; k < layout.k; ++k) y[k] = first[k * PackedLayout::kBlock];
    } else {
      WidenPairs(static_cast<const core::BFloat16*>(table_VD.data) + layout.Index(index, 0),
                 layout.k, y);
    }
  });
}

void AddRows(device::Stream& stream, std::span<const int32_t> rows_T,
             core::ConstTensorView table_PD, core::TensorView y_TD) {
  AUTODIST_CHECK_EQ(static_cast<int64_t>(rows_T.size()), y_TD.rows());
  AUTODIST_CHECK_EQ(table_PD.cols(), y_TD.cols());
  const device::OpScope op(stream.log(), [&] {
    const size_t read = static_cast<size_t>(y_TD.elements()) * core::SizeOf(table_PD.dtype());
    return device::OpCost{.kind = device::OpKind::kEmbedding,
                          .name = "add_rows",
                          .rows = y_TD.rows(),
                          .bytes = read + 2 * y_TD.bytes(),
                          .flops = static_cast<double>(y_TD.elements())};
  });
  const cpu::KernelTable& kernels = cpu::TableFor(stream.isa());
  ForEachRow(stream, y_TD, [&](int64_t row) {
    constexpr int64_t kRun = 256;
    float wide[kRun];
    const auto source = table_PD.Rows(rows_T[static_cast<size_t>(row)], 1);
    for (int64_t at = 0; at < y_TD.cols(); at += kRun) {
      const int64_t count = std::min(kRun, y_TD.cols() - at);
      kernels.convert(source.dtype(), source.Cols(at, count).data(), DType::kF32, wide, count);
      kernels.add(wide, y_TD.row<float>(row) + at, count);
    }
  });
}

}  // namespace autodist::kernels
