// When a sequence ends: end-of-sequence ids, exact minimum and maximum output lengths, the
// context's end.
//
// Plain data and pure functions; stop strings need the decoded text and are judged where the text
// is. Lengths count tokens; the output counts generated tokens, a stopping EOS included.
#ifndef AUTODIST_INFER_STOP_RULES_H_
#define AUTODIST_INFER_STOP_RULES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace autodist::infer {

enum class FinishReason {
  kStop,    // an EOS id (or a stop string)
  kLength,  // the maximum output length or the end of the context
};

std::string_view NameOf(FinishReason reason);  // "stop", "length": finish_reason of generate.json

class StopRules {
 public:
  // eos_ids: any order, may be empty. context_length: positions that prompt and output together may
  // fill. Throws core::Error (bad input) naming the flag unless 0 <= min_output_length <=
  // max_output_length and max_output_length >= 1. REQUIRES context_length >= 1.
  StopRules(std::vector<int32_t> eos_ids, bool ignore_eos, int64_t min_output_length,
            int64_t max_output_length, int64_t context_length);

  // The ids that must not be chosen as the next token while `generated` tokens exist: the EOS set
  // until min_output_length tokens exist (as transformers' min_new_tokens), so a minimum of 1
  // forbids an EOS as the only token and 0 allows it. Empty afterwards and with ignore_eos (an EOS
  // is then a token like any other). Valid as long as this object.
  std::span<const int32_t> ExcludedIds(int64_t generated) const;

  // Whether the sequence ends now that `token` is its generated-th generated token (the first has
  // generated = 1). An EOS at the maximum length is kStop.
  std::optional<FinishReason> After(int32_t token, int64_t prompt_length, int64_t generated) const;

  // The most tokens that a prompt of this length can be given: the maximum output length, clipped
  // to the context. 0 when the prompt fills the context.
  int64_t OutputLimit(int64_t prompt_length) const;

 private:
  std::vector<int32_t> eos_ids_;  // sorted; empty with ignore_eos
  int64_t min_output_length_;
  int64_t max_output_length_;
  int64_t context_length_;
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_STOP_RULES_H_
