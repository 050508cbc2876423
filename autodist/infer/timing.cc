#include "autodist/infer/timing.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>

namespace autodist::infer {
namespace {

double Seconds(TimingRecorder::Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

double Timing::IntervalQuantile(double q) const {
  if (intervals_s.empty()) return 0;
  std::vector<double> sorted = intervals_s;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  const size_t index = std::clamp<size_t>(rank, 1, sorted.size()) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                   sorted.end());
  return sorted[index];
}

core::Json ToJson(const Timing& timing) {
  return {{"total_s", timing.total_s},
          {"first_token_s", timing.first_token_s},
          {"prompt_tokens", timing.prompt_tokens},
          {"generated_tokens", timing.generated_tokens},
          {"prefill_tokens_per_s", timing.prefill_tokens_per_s()},
          {"decode_tokens_per_s", timing.decode_tokens_per_s()},
          {"token_s",
           {{"p50", timing.IntervalQuantile(0.5)},
            {"p90", timing.IntervalQuantile(0.9)},
            {"p99", timing.IntervalQuantile(0.99)}}},
          {"communication_fraction", timing.communication_fraction()},
          {"peak_rss_bytes", timing.peak_rss_bytes}};
}

void TimingRecorder::Turn(int64_t prompt_tokens, const std::vector<int>& sequences) {
  const Clock::time_point now = Clock::now();
  if (timing_.generated_tokens == 0 && !sequences.empty())
    timing_.first_token_s = Seconds(now - started_);
  const auto tokens = static_cast<int64_t>(sequences.size());
  timing_.generated_tokens += tokens;
  timing_.prompt_tokens += prompt_tokens;
  if (prompt_tokens > 0) {
    timing_.prefill_s += Seconds(now - mark_);
  } else {
    timing_.decode_s += Seconds(now - mark_);
    timing_.decode_tokens += tokens;
  }
  mark_ = now;
  for (const int sequence : sequences) {
    Clock::time_point& last = last_[static_cast<size_t>(sequence)];
    if (last != Clock::time_point{}) timing_.intervals_s.push_back(Seconds(now - last));
    last = now;
  }
}

Timing TimingRecorder::Finish(double communication_s) {
  timing_.total_s = Seconds(Clock::now() - started_);
  timing_.communication_s = communication_s;
  timing_.peak_rss_bytes = PeakRssBytes();
  return timing_;
}

uint64_t PeakRssBytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace autodist::infer
