#include <algorithm>
#include <vector>

#include "autodist/kernels/kv_pages.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {
namespace {

using core::BFloat16;
using core::DType;

constexpr int64_t kGroup = 32;  // positions whose values attention reads together

// Rows of k and v, of one kv head, that go to slots [slot, slot + rows) of its part of a page: all
// in one group of values.
struct Run {
  core::ConstTensorView k_TD, v_TD;
  int64_t slot, page_tokens;
  void* keys;
  void* values;

  // The slots that become zero.
  int64_t UnusedBegin() const { return slot + k_TD.rows(); }
  int64_t UnusedEnd() const { return slot % kGroup == 0 ? slot + kGroup : UnusedBegin(); }
};

void WriteF32(const Run& run) {
  const int64_t dim = run.k_TD.cols();
  auto* const values = static_cast<float*>(run.values);
  for (int64_t token = 0; token < run.k_TD.rows(); ++token) {
    const auto* const k = run.k_TD.row<float>(token);
    auto* const to = static_cast<float*>(run.keys) + run.slot + token;
    for (int64_t i = 0; i < dim; ++i) to[i * run.page_tokens] = k[i];
    std::copy_n(run.v_TD.row<float>(token), dim, values + (run.slot + token) * dim);
  }
  std::fill(values + run.UnusedBegin() * dim, values + run.UnusedEnd() * dim, 0.0f);
}

// `row` holds head_dim elements, rounded up to even.
void WriteBf16(const cpu::KernelTable& table, const Run& run, BFloat16* row) {
  const int64_t dim = run.k_TD.cols();
  const auto write_values = [&](int64_t slot, const auto& value) {
    BFloat16* const to = static_cast<BFloat16*>(run.values) + slot / 2 * dim * 2 + slot % 2;
    for (int64_t i = 0; i < dim; ++i) to[i * 2] = value(i);
  };
  row[dim - 1 + dim % 2] = BFloat16{0};
  for (int64_t token = 0; token < run.k_TD.rows(); ++token) {
    const int64_t slot = run.slot + token;
    table.convert(DType::kF32, run.k_TD.row<float>(token), DType::kBF16, row, dim);
    for (int64_t i = 0; i < dim; i += 2) {
      std::copy_n(row + i, 2, static_cast<BFloat16*>(run.keys) + i * run.page_tokens + slot * 2);
    }
    table.convert(DType::kF32, run.v_TD.row<float>(token), DType::kBF16, row, dim);
    write_values(slot, [&](int64_t i) { return row[i]; });
  }
  for (int64_t slot = run.UnusedBegin(); slot < run.UnusedEnd(); ++slot) {
    write_values(slot, [](int64_t) { return BFloat16{0}; });
  }
}

// The runs of all sequences and kv heads.
std::vector<Run> CutIntoRuns(core::ConstTensorView k_TD, core::ConstTensorView v_TD,
                             std::span<const KvSequence> sequences, const KvPageLayout& layout) {
  std::vector<Run> runs;
  const auto head_bytes = static_cast<size_t>(layout.head_elements()) * core::SizeOf(layout.dtype);
  for (const KvSequence& sequence : sequences) {
    for (int64_t token = 0; token < sequence.tokens;) {
      const int64_t position = sequence.first_position + token;
      const int64_t count = std::min(sequence.tokens - token, kGroup - position % kGroup);
      const auto page = static_cast<size_t>(position / layout.page_tokens);
      for (int64_t head = 0; head < layout.kv_heads; ++head) {
        const auto rows = [&](core::ConstTensorView x) {
          return x.Rows(sequence.row + token, count).Cols(head * layout.head_dim, layout.head_dim);
        };
        const auto at = [&](void* whole) {
          return static_cast<uint8_t*>(whole) + static_cast<size_t>(head) * head_bytes;
        };
        runs.push_back({rows(k_TD), rows(v_TD), position % layout.page_tokens, layout.page_tokens,
                        at(sequence.k_pages[page]), at(sequence.v_pages[page])});
      }
      token += count;
    }
  }
  return runs;
}

}  // namespace

void KvWrite(device::Stream& stream, core::ConstTensorView k_TD, core::ConstTensorView v_TD,
             std::span<const KvSequence> sequences, const KvPageLayout& layout) {
  CheckLayout(layout);
  AUTODIST_CHECK_EQ(k_TD.cols(), layout.kv_heads * layout.head_dim);
  AUTODIST_CHECK_EQ(v_TD.cols(), k_TD.cols());
  AUTODIST_CHECK_EQ(v_TD.rows(), k_TD.rows());
  for (const KvSequence& sequence : sequences) CheckSequence(sequence, layout, k_TD.rows());
  const device::OpScope op(stream.log(), [&] {
    const auto elements = static_cast<size_t>(2 * k_TD.cols() * RowsOf(sequences));
    return device::OpCost{.kind = device::OpKind::kAttention,
                          .name = "kv_write",
                          .rows = RowsOf(sequences),
                          .bytes = elements * (sizeof(float) + core::SizeOf(layout.dtype))};
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const std::vector<Run> runs = CutIntoRuns(k_TD, v_TD, sequences, layout);
  const auto row_bytes = static_cast<size_t>(layout.head_dim + 1) * sizeof(BFloat16);
  const auto write = [&](int64_t begin, int64_t end, int worker) {
    auto* const row = static_cast<BFloat16*>(stream.Scratch(worker, row_bytes));
    for (int64_t i = begin; i < end; ++i) {
      const Run& run = runs[static_cast<size_t>(i)];
      if (layout.dtype == DType::kF32) {
        WriteF32(run);
      } else {
        WriteBf16(table, run, row);
      }
    }
  };
  const auto count = static_cast<int64_t>(runs.size());
  if (k_TD.elements() < kWorthwhile) {
    write(0, count, 0);
  } else {
    stream.pool().ParallelFor(count, write);
  }
}

}  // namespace autodist::kernels
