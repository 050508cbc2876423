// Choosing a token: the pure steps, on one rank's part of a row of logits.
//
// What the result is, on any number of ranks: let the canonical order of tokens be larger logit
// first, equal logits by smaller id. Every filter (top-k, top-p, min-p) keeps a prefix of that
// order. Greedy takes its first token. Otherwise each kept token gets the key logit / temperature +
// Gumbel noise, the largest key wins, and that token is distributed as the softmax over the kept
// tokens (Gumbel-max). The noise is a function of (seed, sequence, position, token id), so nothing
// depends on where the vocabulary is cut or how many tokens a rank looked at.
//
// A NaN logit counts as -infinity. Functions without a Stream are safe to call from any thread.
#ifndef AUTODIST_INFER_SAMPLER_H_
#define AUTODIST_INFER_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "autodist/core/tensor_view.h"
#include "autodist/device/stream.h"
#include "autodist/infer/sampling_options.h"
#include "autodist/infer/softmax_weights.h"

namespace autodist::infer {

// What the next token of one sequence depends on besides its logits. The same on every rank.
// Pointers and spans must outlive the call that takes it.
struct SampleRow {
  const SamplingOptions* options = nullptr;  // valid (sampling_options.h)
  uint64_t sequence = 0;                     // the random stream: the prompt's index
  uint32_t position = 0;                     // tokens generated so far
  std::span<const int32_t> history = {};     // prompt and generated ids, for the repetition penalty
  std::span<const int32_t> excluded = {};    // ids that must not be chosen (stop_rules.h)
};

// The columns of a row of logits that one rank holds: column i is token first_id + i. May be empty.
struct LogitShard {
  std::span<float> logits;
  int32_t first_id = 0;
};

// Repetition penalty and exclusion, in place; ids outside of the shard are skipped. Each id is
// penalised once, however often it occurs. `seen` is working memory, one zero per column; it is
// zero again afterwards.
void ProcessLogits(const SampleRow& row, const LogitShard& shard, std::vector<uint8_t>& seen);

struct Candidate {
  float logit;
  int32_t id;
  bool operator==(const Candidate&) const = default;
};

// The canonical order.
inline bool Before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// The best token seen so far. id -1: none.
struct Draw {
  double key;
  int32_t id;
};
Draw NoDraw();
// The larger key, of equal keys the smaller id.
Draw Better(const Draw& a, const Draw& b);

// The noise of one sequence at one position.
class TokenNoise {
 public:
  TokenNoise(uint64_t seed, uint64_t sequence, uint32_t position);

  // 64 random bits of a token: half a Philox block, which it shares with its neighbour.
  uint64_t Bits(int32_t id) const;
  // -log(-log(u)) with u uniform in (0, 1), of these bits. Finite, at most 37.
  static double Gumbel(uint64_t bits);
  // At least Gumbel(bits), without a logarithm: most tokens of a row are ruled out by it.
  static double GumbelBound(uint64_t bits);

 private:
  uint64_t seed_;
  uint64_t sequence_;
  uint32_t position_;
};

// The shard's best token by logit. `stream`'s threads share the work, here and below.
Draw GreedyDraw(device::Stream& stream, const LogitShard& shard);

// The shard's best token by logit / temperature + noise.
Draw NoiseDraw(device::Stream& stream, const LogitShard& shard, const SampleRow& row);

// The best of these tokens by the same key.
Draw NoiseDraw(std::span<const Candidate> candidates, const SampleRow& row);

// The shard's first min(count, finite logits) tokens in canonical order.
std::vector<Candidate> TopCandidates(device::Stream& stream, const LogitShard& shard,
                                     int64_t count);

// The weights of the whole shard at this temperature; `largest` is the shard's largest logit
// (-infinity: empty).
WeightSum SumWeights(device::Stream& stream, const LogitShard& shard, float largest,
                     double temperature);

// How many tokens of the canonical order the filters keep. `prefix` is its beginning; `whole` tells
// that no other token has a finite logit; `all` is the sum of all weights, needed when top_p < 1
// without top_k. nullopt: the prefix is too short to tell. With top_k, a prefix of top_k tokens
// always suffices.
std::optional<size_t> CountKept(std::span<const Candidate> prefix, bool whole, const WeightSum* all,
                                const SamplingOptions& options);

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_SAMPLER_H_
