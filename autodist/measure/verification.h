// Does a mesh compute what one rank computes? The numbers behind `autodist verify`.
#ifndef AUTODIST_MEASURE_VERIFICATION_H_
#define AUTODIST_MEASURE_VERIFICATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/core/tensor_view.h"
#include "autodist/infer/model_runner.h"

namespace autodist::measure {

// max|a - b| / max|b| and sqrt(sum (a - b)^2 / sum b^2) over all logits; infinite when one of them
// is no finite number.
struct LogitsError {
  double max = 0;
  double rms = 0;
};

// REQUIRES equal sizes.
LogitsError CompareLogits(const std::vector<float>& a, const std::vector<float>& b);

// What one run gave. `logits` [prompt + output, vocabulary] are those of the prompt and the output
// that was asked about, which all runs that are compared share; they need tokens * vocabulary * 4
// bytes.
struct VerifiedRun {
  std::vector<int32_t> token_ids;  // greedy, end-of-sequence ids like any other
  std::vector<float> logits;
};

// Generates, then computes the logits of the prompt followed by `output` (nullptr: by what was
// generated). Collective; the result is complete where runner.holds_rank0().
VerifiedRun RunToVerify(ModelRunner& runner, const std::vector<int32_t>& prompt,
                        int64_t output_length, const std::vector<int32_t>* output);

struct VerifiedError {
  std::string what;  // "tp 2 x pp 2 against 1 rank"
  LogitsError error;
  // The error is within bounds when neither is exceeded. Absent: shown, not judged.
  std::optional<double> max_bound;
  std::optional<double> rms_bound;

  bool within() const;
};

// The first position at which two greedy outputs differ.
struct TokenDifference {
  int64_t index = 0;  // of the generated token
  // Between the logits of the two tokens, relative to the largest logit: below the bound the tokens
  // are as good as equal, and rounding decides.
  double margin = 0;
  double bound = 0;
};

// NaN and infinite elements of one tensor: reported, not judged; the logits are.
struct NonFiniteWeights {
  std::string name;  // in the checkpoint
  uint64_t count = 0;
};

struct VerificationReport {
  spec::Mesh mesh;
  core::DType dtype = core::DType::kF32;
  core::WeightFormat weights = core::WeightFormat::kF32;
  std::vector<int32_t> prompt;
  std::vector<int32_t> token_ids;            // of the mesh
  std::vector<int32_t> reference_token_ids;  // of one rank
  std::vector<VerifiedError> errors;
  std::optional<TokenDifference> difference;
  uint64_t nonfinite_logits = 0;                    // of the mesh
  std::vector<NonFiniteWeights> nonfinite_weights;  // filled by the caller

  bool within_bounds() const;
};

// Judges the runs of `mesh` and of one rank in the same dtype. f32: at most 1e-5 apart, as sums in
// another order are. bf16: `exact` is one rank in f32, and against it the mesh may err 1.2 times
// (rms) and twice (max) as much as one rank does. Greedy tokens must be equal up to a near-tie.
// REQUIRES `exact` exactly for bf16.
VerificationReport Judge(const spec::ParallelPlan& plan, const std::vector<int32_t>& prompt,
                         const VerifiedRun& mesh, const VerifiedRun& one_rank,
                         const VerifiedRun* exact);

// docs/json.md; an infinite error is null.
core::Json ToJson(const VerificationReport& report);
std::string ToText(const VerificationReport& report);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_VERIFICATION_H_
