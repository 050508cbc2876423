#include "autodist/infer/testing/reference_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

namespace autodist::infer::testing {
namespace {

std::vector<double> Process(const std::vector<float>& logits, const SampleRow& row) {
  std::vector<double> scores(logits.begin(), logits.end());
  const float penalty = static_cast<float>(row.options->repetition_penalty);
  for (int32_t id : std::set<int32_t>(row.history.begin(), row.history.end())) {
    const float logit = logits[static_cast<size_t>(id)];
    // In f32, as the logits are.
    scores[static_cast<size_t>(id)] = logit < 0 ? logit * penalty : logit / penalty;
  }
  for (int32_t id : row.excluded) {
    scores[static_cast<size_t>(id)] = -std::numeric_limits<double>::infinity();
  }
  return scores;
}

std::vector<double> Softmax(const std::vector<double>& scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> probabilities;
  for (double score : scores) probabilities.push_back(std::exp(score - largest));
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

void Truncate(std::vector<int32_t>& ids, std::vector<double>& scores, size_t count) {
  ids.resize(count);
  scores.resize(count);
}

}  // namespace

Survivors ReferenceSurvivors(std::vector<float> logits, const SampleRow& row) {
  const SamplingOptions& options = *row.options;
  const std::vector<double> processed = Process(logits, row);
  std::vector<int32_t> ids;
  for (size_t id = 0; id < processed.size(); ++id) {
    if (std::isfinite(processed[id])) ids.push_back(static_cast<int32_t>(id));
  }
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    return processed[static_cast<size_t>(a)] > processed[static_cast<size_t>(b)];
  });
  std::vector<double> scores;
  for (int32_t id : ids) {
    scores.push_back(processed[static_cast<size_t>(id)] / options.temperature);
  }

  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < ids.size()) {
    Truncate(ids, scores, static_cast<size_t>(options.top_k));
  }
  if (options.top_p < 1.0) {
    const std::vector<double> probabilities = Softmax(scores);
    size_t count = 0;
    for (double sum = 0.0; count < ids.size() && (count == 0 || sum < options.top_p); ++count) {
      sum += probabilities[count];
    }
    Truncate(ids, scores, count);
  }
  if (options.min_p > 0.0) {
    const std::vector<double> probabilities = Softmax(scores);
    size_t count = 1;
    while (count < ids.size() && probabilities[count] >= options.min_p * probabilities[0]) ++count;
    Truncate(ids, scores, count);
  }
  return {ids, Softmax(scores)};
}

int32_t ReferenceToken(const std::vector<float>& logits, const SampleRow& row) {
  if (row.options->temperature == 0.0) {
    const std::vector<double> scores = Process(logits, row);
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  const Survivors survivors = ReferenceSurvivors(logits, row);
  const TokenNoise noise(row.options->seed, row.sequence, row.position);
  double best_key = -std::numeric_limits<double>::infinity();
  int32_t best = -1;
  for (size_t i = 0; i < survivors.ids.size(); ++i) {
    const double v = (static_cast<double>(noise.Bits(survivors.ids[i]) >> 12) + 0.5) / 0x1p52;
    const double key = std::log(survivors.probabilities[i]) - std::log(-std::log1p(-v));
    if (key > best_key) {
      best_key = key;
      best = survivors.ids[i];
    }
  }
  return best;
}

}  // namespace autodist::infer::testing
