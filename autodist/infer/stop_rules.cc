#include "autodist/infer/stop_rules.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::infer {

std::string_view NameOf(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";
}

StopRules::StopRules(std::vector<int32_t> eos_ids, bool ignore_eos, int64_t min_output_length,
                     int64_t max_output_length, int64_t context_length)
    : min_output_length_(min_output_length),
      max_output_length_(max_output_length),
      context_length_(context_length) {
  AUTODIST_CHECK_GE(context_length, 1);
  if (max_output_length < 1) {
    throw core::BadInput("--max-output-length is {}, must be at least 1", max_output_length);
  }
  if (min_output_length < 0) {
    throw core::BadInput("--min-output-length is {}, must be at least 0", min_output_length);
  }
  if (min_output_length > max_output_length) {
    throw core::BadInput("--min-output-length is {}, must be at most --max-output-length {}",
                         min_output_length, max_output_length);
  }
  if (ignore_eos) return;
  eos_ids_ = std::move(eos_ids);
  std::sort(eos_ids_.begin(), eos_ids_.end());
}

std::span<const int32_t> StopRules::ExcludedIds(int64_t generated) const {
  if (generated < min_output_length_) return eos_ids_;
  return {};
}

std::optional<FinishReason> StopRules::After(int32_t token, int64_t prompt_length,
                                             int64_t generated) const {
  if (std::binary_search(eos_ids_.begin(), eos_ids_.end(), token)) return FinishReason::kStop;
  if (generated >= OutputLimit(prompt_length)) return FinishReason::kLength;
  return std::nullopt;
}

int64_t StopRules::OutputLimit(int64_t prompt_length) const {
  return std::max<int64_t>(0, std::min(max_output_length_, context_length_ - prompt_length));
}

}  // namespace autodist::infer
