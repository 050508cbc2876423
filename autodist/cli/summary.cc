#include "autodist/cli/summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodist/core/log.h"

namespace autodist::cli {

std::string ByteText(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string SummaryText(const ModelRunner& runner, const infer::Timing& timing) {
  const spec::ParallelPlan& plan = runner.plan();
  const LoadReport& load = runner.load_report();
  std::string text = "\n";
  const auto line = [&](std::string_view label, const std::string& value) {
    text += fmt::format("{:<19}: {}\n", label, value);
  };
  const bool f16 = runner.config().checkpoint_dtype == core::DType::kF16;
  line("mesh",
       fmt::format(
           "tp {} x pp {}, {} thread{} per rank, {}{}{}", plan.mesh.tp, plan.mesh.pp,
           runner.threads_per_rank(), runner.threads_per_rank() == 1 ? "" : "s",
           core::NameOf(plan.compute_dtype),
           plan.quantisation ? fmt::format(", {} weights", core::NameOf(*plan.quantisation)) : "",
           f16 ? " (float16 weights computed in float32)" : ""));
  if (load.ranks_from_cache > 0) {
    line("loaded",
         fmt::format("{:.2f} s, {} rank{} from the shard cache, {} read from the checkpoint",
                     load.seconds, load.ranks_from_cache, load.ranks_from_cache == 1 ? "" : "s",
                     ByteText(load.bytes_requested)));
  } else {
    line("loaded", fmt::format("{:.2f} s, {} read from the checkpoint for {} needed", load.seconds,
                               ByteText(load.bytes_requested), ByteText(load.bytes_needed)));
  }
  line("first token", fmt::format("{:.1f} ms", timing.first_token_s * 1e3));
  line("prefill", fmt::format("{:.1f} tokens/s ({} tokens)", timing.prefill_tokens_per_s(),
                              timing.prompt_tokens));
  line("decode", fmt::format("{:.1f} tokens/s ({} tokens)", timing.decode_tokens_per_s(),
                             timing.decode_tokens));
  line(
      "per token",
      fmt::format("p50 {:.2f} ms, p90 {:.2f} ms, p99 {:.2f} ms", timing.IntervalQuantile(0.5) * 1e3,
                  timing.IntervalQuantile(0.9) * 1e3, timing.IntervalQuantile(0.99) * 1e3));
  line("communication",
       fmt::format("{:.1f} % of the time of rank 0", timing.communication_fraction() * 100));
  uint64_t largest = 0;
  for (const spec::RankPlan& rank : plan.ranks) largest = std::max(largest, rank.bytes.total());
  line("memory", fmt::format("{} planned for the largest rank, {} peak of this process",
                             ByteText(largest), ByteText(timing.peak_rss_bytes)));
  // The two lines of the first implementation: mean time per generated token, and tokens per
  // second, after the prompt.
  const double latency_s = timing.decode_tokens > 0
                               ? timing.decode_s / static_cast<double>(timing.decode_tokens)
                               : timing.first_token_s;
  line("generation latency", fmt::format("{:.3f} ms", latency_s * 1e3));
  line("throughput", fmt::format("{:.2f} tokens/second", latency_s > 0 ? 1 / latency_s : 0));
  return text;
}

void LogRemarks(const ModelRunner& runner, bool planner_chose) {
  if (!runner.holds_rank0()) return;
  for (const std::string& remark : runner.remarks()) core::Log("note: {}", remark);
  if (!planner_chose) return;
  for (const std::string& reason : runner.plan().reasons) core::Log("note: {}", reason);
}

}  // namespace autodist::cli
