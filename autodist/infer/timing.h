// How long a generation took, and where: measured on rank 0.
#ifndef AUTODIST_INFER_TIMING_H_
#define AUTODIST_INFER_TIMING_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::infer {

struct Timing {
  double total_s = 0;
  double first_token_s = 0;  // from the start to the first token of the first sequence
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  double prefill_s = 0;             // time of turns in which prompts were read
  double decode_s = 0;              // time of all other turns
  int64_t decode_tokens = 0;        // tokens that those turns gave
  std::vector<double> intervals_s;  // between a sequence's neighbouring tokens
  double communication_s = 0;       // rank 0 in transfers and waiting for them
  uint64_t peak_rss_bytes = 0;      // of this process

  double prefill_tokens_per_s() const {
    return prefill_s > 0 ? static_cast<double>(prompt_tokens) / prefill_s : 0;
  }
  double decode_tokens_per_s() const {
    return decode_s > 0 ? static_cast<double>(decode_tokens) / decode_s : 0;
  }
  double communication_fraction() const { return total_s > 0 ? communication_s / total_s : 0; }
  // The q-quantile of intervals_s, nearest rank; 0 when there is none.
  double IntervalQuantile(double q) const;
};

// "timing" of generate.json (docs/json.md).
core::Json ToJson(const Timing& timing);

// Collects a Timing as tokens arrive. One thread.
class TimingRecorder {
 public:
  using Clock = std::chrono::steady_clock;

  explicit TimingRecorder(size_t sequences)
      : last_(sequences), started_(Clock::now()), mark_(started_) {}

  // A turn has given its tokens; `prompt_tokens` > 0: it read prompts.
  void Turn(int64_t prompt_tokens, const std::vector<int>& sequences);
  Timing Finish(double communication_s);

 private:
  Timing timing_;
  std::vector<Clock::time_point> last_;  // of each sequence's last token
  Clock::time_point started_;
  Clock::time_point mark_;
};

uint64_t PeakRssBytes();

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_TIMING_H_
