#include "autodist/kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <type_traits>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/kernels/cpu/kernel_table.h"

namespace autodist::kernels {
namespace {

using core::DType;

constexpr int64_t kTaskRows =
    48;  // q heads times tokens of a task: enough to use each key tile well

void CheckLayout(const KvPageLayout& layout) {
  AUTODIST_CHECK(layout.dtype == DType::kF32 || layout.dtype == DType::kBF16);
  AUTODIST_CHECK(layout.page_tokens > 0 && layout.page_tokens % 16 == 0);
  AUTODIST_CHECK(layout.kv_heads >= 1 && layout.head_dim >= 1);
}

void CheckSequence(const KvSequence& sequence, const KvPageLayout& layout, int64_t rows) {
  AUTODIST_CHECK(sequence.row >= 0 && sequence.tokens >= 0 &&
                 sequence.row + sequence.tokens <= rows);
  AUTODIST_CHECK_GE(sequence.first_position, 0);
  const int64_t pages =
      static_cast<int64_t>(std::min(sequence.k_pages.size(), sequence.v_pages.size()));
  AUTODIST_CHECK_LE(sequence.first_position + sequence.tokens, pages * layout.page_tokens);
}

int64_t RowsOf(std::span<const KvSequence> sequences) {
  int64_t rows = 0;
  for (const KvSequence& sequence : sequences) rows += sequence.tokens;
  return rows;
}

// Each sequence's visible keys and values are read once; a query's score and its share of the
// output take 2 head_dim operations each per visible key.
device::OpCost AttentionCost(core::ConstTensorView q_TD, std::span<const KvSequence> sequences,
                             const KvPageLayout& layout, const AttentionOptions& options,
                             core::ConstTensorView out_TD) {
  int64_t keys = 0;   // that any query of their sequence sees
  double scores = 0;  // of one head
  for (const KvSequence& sequence : sequences) {
    if (sequence.tokens == 0) continue;
    const int64_t first = sequence.first_position;
    const int64_t end = first + sequence.tokens;
    const int64_t window = options.sliding_window > 0 ? options.sliding_window : end;
    keys += end - std::max<int64_t>(0, first + 1 - window);
    // Query p sees min(p + 1, window) keys: the growing ones, then the constant ones.
    const int64_t growing = std::clamp(window, first, end);
    scores += static_cast<double>(growing - first) * static_cast<double>(first + growing + 1) / 2;
    scores += static_cast<double>(end - growing) * static_cast<double>(window);
  }
  const auto kv_bytes = static_cast<size_t>(2 * keys * layout.kv_heads * layout.head_dim) *
                        core::SizeOf(layout.dtype);
  const auto rows = static_cast<size_t>(RowsOf(sequences));
  const auto row_bytes = static_cast<size_t>(q_TD.cols()) *
                         (core::SizeOf(q_TD.dtype()) + core::SizeOf(out_TD.dtype()));
  return {.kind = device::OpKind::kAttention,
          .name = "attention",
          .rows = RowsOf(sequences),
          .bytes = kv_bytes + rows * row_bytes,
          .flops = 4.0 * static_cast<double>(q_TD.cols()) * scores};
}

// Writes one token's keys: element d of a head goes page_tokens elements after element d - 1.
template <typename T>
void WriteKeys(const float* k, const KvPageLayout& layout, int64_t slot, T* page) {
  for (int64_t element = 0; element < layout.kv_heads * layout.head_dim; ++element) {
    T& to = page[element * layout.page_tokens + slot];
    if constexpr (std::is_same_v<T, float>) {
      to = k[element];
    } else {
      to = core::ToBFloat16(k[element]);
    }
  }
}

}  // namespace

void KvWrite(device::Stream& stream, core::ConstTensorView k_TD, core::ConstTensorView v_TD,
             std::span<const KvSequence> sequences, const KvPageLayout& layout) {
  CheckLayout(layout);
  const int64_t width = layout.kv_heads * layout.head_dim;
  AUTODIST_CHECK(k_TD.cols() == width && v_TD.cols() == width && k_TD.rows() == v_TD.rows());
  const device::OpScope op(stream.log(), [&] {
    const auto elements = static_cast<size_t>(2 * width * RowsOf(sequences));
    return device::OpCost{.kind = device::OpKind::kAttention,
                          .name = "kv_write",
                          .rows = RowsOf(sequences),
                          .bytes = elements * (sizeof(float) + core::SizeOf(layout.dtype))};
  });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const size_t size = core::SizeOf(layout.dtype);
  for (const KvSequence& sequence : sequences) {
    CheckSequence(sequence, layout, k_TD.rows());
    stream.pool().ParallelFor(sequence.tokens, [&](int64_t begin, int64_t end, int) {
      for (int64_t token = begin; token < end; ++token) {
        const int64_t position = sequence.first_position + token;
        const auto page = static_cast<size_t>(position / layout.page_tokens);
        const int64_t slot = position % layout.page_tokens;
        const float* const k = k_TD.row<float>(sequence.row + token);
        const float* const v = v_TD.row<float>(sequence.row + token);
        if (layout.dtype == DType::kF32) {
          WriteKeys(k, layout, slot, static_cast<float*>(sequence.k_pages[page]));
        } else {
          WriteKeys(k, layout, slot, static_cast<core::BFloat16*>(sequence.k_pages[page]));
        }
        for (int64_t head = 0; head < layout.kv_heads; ++head) {
          const int64_t to = (head * layout.page_tokens + slot) * layout.head_dim;
          table.convert(
              DType::kF32, v + head * layout.head_dim, layout.dtype,
              static_cast<uint8_t*>(sequence.v_pages[page]) + static_cast<size_t>(to) * size,
              layout.head_dim);
        }
      }
    });
  }
}

void Attention(device::Stream& stream, core::ConstTensorView q_TD,
               std::span<const KvSequence> sequences, const KvPageLayout& layout,
               const AttentionOptions& options, core::TensorView out_TD) {
  CheckLayout(layout);
  const auto q_heads = static_cast<int64_t>(options.kv_head_of_q.size());
  AUTODIST_CHECK(q_TD.dtype() == DType::kF32);
  AUTODIST_CHECK(out_TD.dtype() == DType::kF32 || out_TD.dtype() == DType::kBF16);
  AUTODIST_CHECK(q_TD.cols() == q_heads * layout.head_dim && out_TD.cols() == q_TD.cols());
  AUTODIST_CHECK_EQ(q_TD.rows(), out_TD.rows());
  AUTODIST_CHECK_GE(options.sliding_window, 0);
  const device::OpScope op(stream.log(),
                           [&] { return AttentionCost(q_TD, sequences, layout, options, out_TD); });

  std::vector<std::vector<int32_t>> q_heads_of(static_cast<size_t>(layout.kv_heads));
  for (int32_t head = 0; head < q_heads; ++head) {
    const int32_t kv_head = options.kv_head_of_q[static_cast<size_t>(head)];
    AUTODIST_CHECK(kv_head >= 0 && kv_head < layout.kv_heads);
    q_heads_of[static_cast<size_t>(kv_head)].push_back(head);
  }

  std::vector<cpu::AttentionTask> tasks;
  for (const KvSequence& sequence : sequences) {
    CheckSequence(sequence, layout, q_TD.rows());
    for (int64_t kv_head = 0; kv_head < layout.kv_heads; ++kv_head) {
      const auto& heads = q_heads_of[static_cast<size_t>(kv_head)];
      if (heads.empty()) continue;
      const auto head_count = static_cast<int64_t>(heads.size());
      const int64_t tokens = std::max<int64_t>(1, kTaskRows / head_count);
      for (int64_t token = 0; token < sequence.tokens; token += tokens) {
        cpu::AttentionTask task;
        task.q = q_TD.row<float>(sequence.row + token);
        task.q_stride = q_TD.stride();
        task.out = out_TD.Rows(sequence.row + token, 1).data();
        task.out_stride = out_TD.stride();
        task.out_dtype = out_TD.dtype();
        task.q_heads = heads.data();
        task.q_head_count = head_count;
        task.tokens = std::min(tokens, sequence.tokens - token);
        task.position = sequence.first_position + token;
        task.k_pages = sequence.k_pages.data();
        task.v_pages = sequence.v_pages.data();
        task.page_dtype = layout.dtype;
        task.page_tokens = layout.page_tokens;
        task.head_dim = layout.head_dim;
        task.head_offset = static_cast<size_t>(kv_head * layout.page_tokens * layout.head_dim);
        task.scale = options.scale;
        task.window = options.sliding_window;
        tasks.push_back(task);
      }
    }
  }
  // Later positions see more keys: the longest tasks first, to whoever is free.
  std::sort(tasks.begin(), tasks.end(),
            [](const auto& a, const auto& b) { return a.position > b.position; });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  std::atomic<size_t> next{0};
  const auto work = [&](int worker) {
    for (size_t i = next.fetch_add(1); i < tasks.size(); i = next.fetch_add(1)) {
      const cpu::AttentionTask& task = tasks[i];
      table.attention(
          task, stream.Scratch(worker, cpu::AttentionScratchBytes(task.q_head_count * task.tokens,
                                                                  task.head_dim)));
    }
  };
  if (tasks.size() == 1) {
    work(0);
  } else {
    stream.pool().Run(work);
  }
}

}  // namespace autodist::kernels
