#include "autodist/kernels/attention.h"

#include <algorithm>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/device/buffer.h"
#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/kv_pages.h"
#include "autodist/kernels/task_queue.h"

namespace autodist::kernels {
namespace {

using core::DType;
using cpu::AttentionTask;

// Rows = q heads times tokens of a task. Enough to use each key tile well, few enough for all
// threads to have some; tokens in multiples of the 32 rows that tiles multiply at a time where they
// can.
constexpr int64_t kTaskRows = 256;
constexpr int64_t kTaskTokens = 32;

int64_t TokensPerTask(int64_t q_heads) {
  return std::max<int64_t>(1, kTaskRows / q_heads / kTaskTokens) * kTaskTokens;
}

int64_t Rows(const AttentionTask& task) { return task.q_head_count * task.tokens; }
// What the task costs, in rows times keys.
int64_t Cost(const AttentionTask& task) { return Rows(task) * (task.EndKey() - task.FirstKey()); }
int64_t FirstSegment(const AttentionTask& task) { return task.FirstKey() / cpu::kAttentionSegment; }
int64_t Segments(const AttentionTask& task) {
  return (task.EndKey() - 1) / cpu::kAttentionSegment + 1 - FirstSegment(task);
}

// The tasks of one call, and the lists of q heads that they refer to.
struct Tasks {
  std::vector<std::vector<int32_t>> q_heads_of;  // [kv head]
  std::vector<AttentionTask> all;
};

Tasks CutIntoTasks(core::ConstTensorView q_TD, std::span<const KvSequence> sequences,
                   const KvPageLayout& layout, const AttentionOptions& options,
                   core::TensorView out_TD) {
  Tasks tasks;
  tasks.q_heads_of.resize(static_cast<size_t>(layout.kv_heads));
  for (size_t head = 0; head < options.kv_head_of_q.size(); ++head) {
    const int32_t kv_head = options.kv_head_of_q[head];
    AUTODIST_CHECK(kv_head >= 0 && kv_head < layout.kv_heads);
    tasks.q_heads_of[static_cast<size_t>(kv_head)].push_back(static_cast<int32_t>(head));
  }
  for (const KvSequence& sequence : sequences) {
    CheckSequence(sequence, layout, q_TD.rows());
    for (int64_t kv_head = 0; kv_head < layout.kv_heads; ++kv_head) {
      const auto& heads = tasks.q_heads_of[static_cast<size_t>(kv_head)];
      if (heads.empty()) continue;
      const auto head_count = static_cast<int64_t>(heads.size());
      const int64_t tokens = TokensPerTask(head_count);
      for (int64_t token = 0; token < sequence.tokens; token += tokens) {
        tasks.all.push_back({.q = q_TD.row<float>(sequence.row + token),
                             .q_stride = q_TD.stride(),
                             .out = out_TD.Rows(sequence.row + token, 1).data(),
                             .out_stride = out_TD.stride(),
                             .out_dtype = out_TD.dtype(),
                             .q_heads = heads.data(),
                             .q_head_count = head_count,
                             .tokens = std::min(tokens, sequence.tokens - token),
                             .position = sequence.first_position + token,
                             .k_pages = sequence.k_pages.data(),
                             .v_pages = sequence.v_pages.data(),
                             .page_tokens = layout.page_tokens,
                             .head_dim = layout.head_dim,
                             .head_offset = static_cast<size_t>(kv_head * layout.head_elements()),
                             .scale = options.scale,
                             .window = options.sliding_window,
                             .partial = nullptr,
                             .segment = 0,
                             .next = nullptr});
      }
    }
  }
  return tasks;
}

// The costly first, to whoever is free.
void RunTasks(device::Stream& stream, DType page_dtype, std::vector<AttentionTask>& tasks) {
  std::sort(tasks.begin(), tasks.end(),
            [](const auto& a, const auto& b) { return Cost(a) > Cost(b); });
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  const auto kernel = page_dtype == DType::kF32 ? table.attention_f32 : table.attention_bf16;
  TaskQueue queue(tasks.size(), stream.pool().threads());
  const auto work = [&](int worker) {
    queue.Work([&](size_t i, size_t next) {
      AttentionTask& task = tasks[i];
      task.next = next < tasks.size() ? &tasks[next] : nullptr;
      kernel(task, stream.Scratch(worker, cpu::AttentionScratchBytes(Rows(task), task.head_dim)));
    });
  };
  if (tasks.size() == 1) {
    work(0);
  } else {
    stream.pool().Run(work);
  }
}

// Tasks too large for the threads to end together, cut into their segments: what is to be run
// instead, and merged afterwards.
struct SplitTasks {
  std::vector<AttentionTask> whole;  // the tasks that were cut
  std::vector<float*> states;        // of each, its first segment's
  device::Buffer memory;
};

SplitTasks SplitLargeTasks(int threads, std::vector<AttentionTask>& tasks) {
  SplitTasks split;
  if (threads == 1) return split;
  int64_t total = 0;
  for (const AttentionTask& task : tasks) total += Cost(task);
  const int64_t share = total / (4 * threads);
  const auto is_large = [&](const AttentionTask& task) {
    return Cost(task) > share && Segments(task) > 1;
  };
  const auto large =
      std::partition(tasks.begin(), tasks.end(), [&](const auto& task) { return !is_large(task); });
  split.whole.assign(large, tasks.end());
  tasks.erase(large, tasks.end());
  int64_t floats = 0;
  for (const AttentionTask& task : split.whole) {
    floats += Segments(task) * cpu::AttentionStateFloats(Rows(task), task.head_dim);
  }
  if (floats > 0) split.memory = device::Buffer(static_cast<size_t>(floats) * sizeof(float));
  auto* at = split.memory.as<float>();
  for (const AttentionTask& task : split.whole) {
    split.states.push_back(at);
    for (int64_t i = 0; i < Segments(task); ++i) {
      AttentionTask part = task;
      part.partial = at;
      part.segment = FirstSegment(task) + i;
      tasks.push_back(part);
      at += cpu::AttentionStateFloats(Rows(task), task.head_dim);
    }
  }
  return split;
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

}  // namespace

void Attention(device::Stream& stream, core::ConstTensorView q_TD,
               std::span<const KvSequence> sequences, const KvPageLayout& layout,
               const AttentionOptions& options, core::TensorView out_TD) {
  CheckLayout(layout);
  AUTODIST_CHECK(q_TD.dtype() == DType::kF32);
  AUTODIST_CHECK(out_TD.dtype() == DType::kF32 || out_TD.dtype() == DType::kBF16);
  AUTODIST_CHECK_EQ(q_TD.cols(),
                    static_cast<int64_t>(options.kv_head_of_q.size()) * layout.head_dim);
  AUTODIST_CHECK_EQ(out_TD.cols(), q_TD.cols());
  AUTODIST_CHECK_EQ(q_TD.rows(), out_TD.rows());
  AUTODIST_CHECK_GE(options.sliding_window, 0);
  const device::OpScope op(stream.log(),
                           [&] { return AttentionCost(q_TD, sequences, layout, options, out_TD); });

  Tasks tasks = CutIntoTasks(q_TD, sequences, layout, options, out_TD);
  const SplitTasks split = SplitLargeTasks(stream.pool().threads(), tasks.all);
  RunTasks(stream, layout.dtype, tasks.all);
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  for (size_t i = 0; i < split.whole.size(); ++i) {
    table.merge_attention(split.whole[i], split.states[i], Segments(split.whole[i]));
  }
}

}  // namespace autodist::kernels
