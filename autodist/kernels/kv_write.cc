#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "autodist/kernels/kv_pages.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {
namespace {

using core::BFloat16;
using core::DType;

constexpr int64_t kGroup = 32;  // positions whose values attention reads together

// Rows of k and v, of some neighbouring kv heads, that go to slots [slot, slot + rows) of their
// parts of a page: all in one group of values.
struct Run {
  core::ConstTensorView k_TD, v_TD;
  int64_t slot;
  uint8_t* keys;  // of the first of the heads
  uint8_t* values;

  // The slots that become zero.
  int64_t UnusedBegin() const { return slot + k_TD.rows(); }
  int64_t UnusedEnd() const { return slot % kGroup == 0 ? slot + kGroup : UnusedBegin(); }
};

// From the part of one head to that of the next.
size_t HeadBytes(const KvPageLayout& layout) {
  return static_cast<size_t>(layout.head_elements()) * core::SizeOf(layout.dtype);
}

// Most columns of a run, about: enough to read rows in long pieces, few enough for NarrowRows to
// stay in the second-level cache.
constexpr int64_t kRunCols = 512;

// One head of a run, whose columns begin at `col`.
void WriteF32(const Run& run, const KvPageLayout& layout, int64_t col, float* keys, float* values) {
  const int64_t dim = layout.head_dim;
  for (int64_t token = 0; token < run.k_TD.rows(); ++token) {
    const auto* const k = run.k_TD.row<float>(token) + col;
    float* const to = keys + run.slot + token;
    for (int64_t i = 0; i < dim; ++i) to[i * layout.page_tokens] = k[i];
    std::copy_n(run.v_TD.row<float>(token) + col, dim, values + (run.slot + token) * dim);
  }
  std::fill(values + run.UnusedBegin() * dim, values + run.UnusedEnd() * dim, 0.0f);
}

// Rows of a run in bf16, one behind the other.
class NarrowRows {
 public:
  // `memory` holds kGroup * cols elements.
  NarrowRows(const cpu::KernelTable& table, core::ConstTensorView x_TD, BFloat16* memory)
      : rows_(memory), stride_(x_TD.cols()) {
    for (int64_t token = 0; token < x_TD.rows(); ++token)
      table.convert(DType::kF32, x_TD.row<float>(token), DType::kBF16, rows_ + token * stride_,
                    stride_);
  }
  const BFloat16* row(int64_t token) const { return rows_ + token * stride_; }

 private:
  BFloat16* rows_;
  int64_t stride_;
};

// Pairs of elements, each of all positions: [head_dim / 2][page_tokens][2].
void WriteKeyPairs(const Run& run, const KvPageLayout& layout, const NarrowRows& k, int64_t col,
                   BFloat16* keys) {
  const int64_t dim = layout.head_dim;
  for (int64_t i = 0; i < dim; i += 2) {
    BFloat16* const to = keys + i * layout.page_tokens + run.slot * 2;
    const bool last_alone = i + 1 == dim;
    for (int64_t token = 0; token < run.k_TD.rows(); ++token) {
      uint32_t pair;
      std::memcpy(&pair, k.row(token) + col + i, sizeof(pair));
      if (last_alone) pair &= 0xffff;  // the other half is not the head's
      std::memcpy(to + token * 2, &pair, sizeof(pair));
    }
  }
}

// Elements of two neighbouring positions. Nothing overlaps, which lets the compiler use vectors.
void WriteTwo(const BFloat16* __restrict even, const BFloat16* __restrict odd, int64_t n,
              BFloat16* __restrict to) {
  for (int64_t i = 0; i < n; ++i) {
    to[2 * i] = even[i];
    to[2 * i + 1] = odd[i];
  }
}

// Pairs of positions, each of all elements: [page_tokens / 2][head_dim][2].
void WriteValuePairs(const Run& run, const KvPageLayout& layout, const NarrowRows& v, int64_t col,
                     BFloat16* values) {
  const int64_t dim = layout.head_dim;
  const auto at = [&](int64_t slot) { return values + slot / 2 * dim * 2 + slot % 2; };
  for (int64_t token = 0; token < run.v_TD.rows();) {
    const BFloat16* const row = v.row(token) + col;
    BFloat16* const to = at(run.slot + token);
    if ((run.slot + token) % 2 == 0 && token + 1 < run.v_TD.rows()) {
      WriteTwo(row, v.row(token + 1) + col, dim, to);
      token += 2;
      continue;
    }
    for (int64_t i = 0; i < dim; ++i) to[i * 2] = row[i];
    ++token;
  }
  for (int64_t slot = run.UnusedBegin(); slot < run.UnusedEnd(); ++slot)
    for (int64_t i = 0; i < dim; ++i) at(slot)[i * 2] = BFloat16{0};
}

// Heads of a run, so that each of the threads has some runs.
int64_t HeadsPerRun(std::span<const KvSequence> sequences, const KvPageLayout& layout,
                    int threads) {
  constexpr int64_t kRunsPerThread = 4;
  int64_t groups = 0;
  for (const KvSequence& sequence : sequences) groups += (sequence.tokens + kGroup - 1) / kGroup;
  const int64_t pieces =
      kRunsPerThread * threads / std::max<int64_t>(1, groups) + 1;  // of the heads
  return std::clamp<int64_t>(layout.kv_heads / pieces, 1,
                             std::max<int64_t>(1, kRunCols / layout.head_dim));
}

// The runs of all sequences, of at most `most_heads` heads.
std::vector<Run> CutIntoRuns(core::ConstTensorView k_TD, core::ConstTensorView v_TD,
                             std::span<const KvSequence> sequences, const KvPageLayout& layout,
                             int64_t most_heads) {
  std::vector<Run> runs;
  for (const KvSequence& sequence : sequences) {
    for (int64_t token = 0; token < sequence.tokens;) {
      const int64_t position = sequence.first_position + token;
      const int64_t count = std::min(sequence.tokens - token, kGroup - position % kGroup);
      const auto page = static_cast<size_t>(position / layout.page_tokens);
      for (int64_t head = 0; head < layout.kv_heads; head += most_heads) {
        const int64_t heads = std::min(most_heads, layout.kv_heads - head);
        const auto rows = [&](core::ConstTensorView x) {
          return x.Rows(sequence.row + token, count)
              .Cols(head * layout.head_dim, heads * layout.head_dim);
        };
        const auto at = [&](void* whole) {
          return static_cast<uint8_t*>(whole) + static_cast<size_t>(head) * HeadBytes(layout);
        };
        runs.push_back({rows(k_TD), rows(v_TD), position % layout.page_tokens,
                        at(sequence.k_pages[page]), at(sequence.v_pages[page])});
      }
      token += count;
    }
  }
  return runs;
}

// `memory` holds two times kGroup rows of bf16.
void Write(const cpu::KernelTable& table, const Run& run, const KvPageLayout& layout,
           BFloat16* memory) {
  const auto for_heads = [&](const auto& write) {
    for (int64_t head = 0; head * layout.head_dim < run.k_TD.cols(); ++head)
      write(head * layout.head_dim, static_cast<size_t>(head) * HeadBytes(layout));
  };
  if (layout.dtype == DType::kF32) {
    for_heads([&](int64_t col, size_t at) {
      WriteF32(run, layout, col, reinterpret_cast<float*>(run.keys + at),
               reinterpret_cast<float*>(run.values + at));
    });
    return;
  }
  const NarrowRows k(table, run.k_TD, memory);
  const NarrowRows v(table, run.v_TD, memory + kGroup * run.k_TD.cols());
  for_heads([&](int64_t col, size_t at) {
    WriteKeyPairs(run, layout, k, col, reinterpret_cast<BFloat16*>(run.keys + at));
    WriteValuePairs(run, layout, v, col, reinterpret_cast<BFloat16*>(run.values + at));
  });
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
  const bool alone = k_TD.elements() < kWorthwhile;
  const std::vector<Run> runs =
      CutIntoRuns(k_TD, v_TD, sequences, layout,
                  HeadsPerRun(sequences, layout, alone ? 1 : stream.pool().threads()));
  const int64_t most_cols = std::max(kRunCols, layout.head_dim);
  const auto write = [&](int64_t begin, int64_t end, int worker) {
    auto* const memory = static_cast<BFloat16*>(
        stream.Scratch(worker, static_cast<size_t>(2 * kGroup * most_cols) * sizeof(BFloat16)));
    for (int64_t i = begin; i < end; ++i)
      Write(table, runs[static_cast<size_t>(i)], layout, memory);
  };
  const auto count = static_cast<int64_t>(runs.size());
  if (alone) {
    write(0, count, 0);
  } else {
    stream.pool().ParallelFor(count, write);
  }
}

}  // namespace autodist::kernels
