// The loop of one rank over the turns of a generation.
#ifndef AUTODIST_INFER_GENERATION_LOOP_H_
#define AUTODIST_INFER_GENERATION_LOOP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "autodist/infer/rank_runner.h"
#include "autodist/text/stop_matcher.h"
#include "autodist/text/stream_decoder.h"

namespace autodist::infer {

// Used once: construct, Run(). All arguments must outlive it.
class GenerationLoop {
 public:
  GenerationLoop(RankRunner& runner, const GenerateRequest& request, const StopRules& rules);

  GenerateResult Run();

 private:
  struct Sequence {
    std::vector<int32_t> ids;  // prompt, then generated
    int64_t prompt_length = 0;
    std::optional<FinishReason> finished;
    // Only with stop strings: the text so far, looked through.
    std::unique_ptr<text::StreamDecoder> decoder;
    std::unique_ptr<text::StopMatcher> stop;
    int64_t generated() const { return static_cast<int64_t>(ids.size()) - prompt_length; }
  };

  void EnterPhaseOf(const Turn& turn);
  void Execute(const Turn& turn);
  runtime::StageCall Prepare(const Turn& turn, const ForwardCall& call, int64_t first_logit_row);
  std::vector<int32_t> SampleTokens(const Turn& turn);
  std::vector<int32_t> TokensOf(const Turn& turn);
  void Apply(const Turn& turn, const std::vector<int32_t>& tokens);
  std::optional<FinishReason> Append(Sequence& sequence, int32_t token);

  RankRunner& runner_;
  const GenerateRequest& request_;
  const StopRules& rules_;
  BatchScheduler scheduler_;
  KvCache& cache_;
  TimingRecorder timing_;
  std::vector<Sequence> sequences_;
  std::vector<int> slot_of_;                  // per sequence, while it runs
  std::vector<std::vector<int32_t>> chosen_;  // last stage: tokens of each micro-batch's open turn
  device::Buffer logits_;

  // The call that is being computed; StageCall holds spans into these.
  std::vector<int32_t> ids_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> rope_lengths_;
  std::vector<int64_t> logit_rows_;
  std::optional<KvCacheView> view_;
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_GENERATION_LOOP_H_
