#include "autodist/infer/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "autodist/core/check.h"
#include "autodist/core/random.h"
#include "autodist/kernels/sampling.h"

namespace autodist::infer {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// The column of a token in this shard, or -1.
int64_t ColumnOf(const LogitShard& shard, int32_t id) {
  const int64_t column = int64_t{id} - shard.first_id;
  return column >= 0 && column < static_cast<int64_t>(shard.logits.size()) ? column : -1;
}

core::ConstTensorView RowView(const LogitShard& shard) {
  return {shard.logits.data(), 1, static_cast<int64_t>(shard.logits.size())};
}

// NoiseDraw over columns [begin, end).
Draw NoiseDrawOfRange(const LogitShard& shard, int64_t begin, int64_t end, double temperature,
                      const TokenNoise& noise) {
  // GumbelBound holds for exact arithmetic; the slack covers the rounding of Gumbel.
  constexpr double kSlack = 1e-9;
  Draw best = NoDraw();
  for (int64_t column = begin; column < end; ++column) {
    const double scaled = double{shard.logits[static_cast<size_t>(column)]} / temperature;
    const int32_t id = shard.first_id + static_cast<int32_t>(column);
    const uint64_t bits = noise.Bits(id);
    if (!(scaled + TokenNoise::GumbelBound(bits) + kSlack >= best.key)) continue;
    const Draw draw = {scaled + TokenNoise::Gumbel(bits), id};
    if (draw.key > kMinusInfinity) best = Better(best, draw);
  }
  return best;
}

// function(begin, end) of each worker's share of [0, count), combined. REQUIRES that the order does
// not matter.
template <typename Result, typename Function, typename Combine>
Result Reduce(device::Stream& stream, int64_t count, const Result& empty, const Function& function,
              const Combine& combine) {
  std::vector<Result> results(static_cast<size_t>(stream.pool().threads()), empty);
  stream.pool().ParallelFor(count, [&](int64_t begin, int64_t end, int worker) {
    results[static_cast<size_t>(worker)] = function(begin, end);
  });
  Result result = empty;
  for (const Result& part : results) combine(result, part);
  return result;
}

}  // namespace

void ProcessLogits(const SampleRow& row, const LogitShard& shard, std::vector<uint8_t>& seen) {
  AUTODIST_CHECK_GE(seen.size(), shard.logits.size());
  const float penalty = static_cast<float>(row.options->repetition_penalty);
  if (penalty != 1.0f) {
    for (const int32_t id : row.history) {
      const int64_t column = ColumnOf(shard, id);
      if (column < 0 || seen[static_cast<size_t>(column)] != 0) continue;
      seen[static_cast<size_t>(column)] = 1;
      float& logit = shard.logits[static_cast<size_t>(column)];
      logit = logit < 0.0f ? logit * penalty : logit / penalty;
    }
    for (const int32_t id : row.history) {
      const int64_t column = ColumnOf(shard, id);
      if (column >= 0) seen[static_cast<size_t>(column)] = 0;
    }
  }
  for (const int32_t id : row.excluded) {
    const int64_t column = ColumnOf(shard, id);
    if (column >= 0) shard.logits[static_cast<size_t>(column)] = kMinusInfinity;
  }
}

Draw NoDraw() { return {-std::numeric_limits<double>::infinity(), -1}; }

Draw Better(const Draw& a, const Draw& b) {
  if (a.id < 0) return b;
  if (b.id < 0) return a;
  if (a.key != b.key) return a.key > b.key ? a : b;
  return a.id < b.id ? a : b;
}

TokenNoise::TokenNoise(uint64_t seed, uint64_t sequence, uint32_t position)
    : seed_(seed), sequence_(sequence), position_(position) {}

uint64_t TokenNoise::Bits(int32_t id) const {
  const auto words =
      core::Philox({static_cast<uint32_t>(id) >> 1, position_, static_cast<uint32_t>(sequence_),
                    static_cast<uint32_t>(sequence_ >> 32)},
                   {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
  const size_t half = static_cast<size_t>(id & 1) * 2;
  return (uint64_t{words[half + 1]} << 32) | words[half];
}

// u = 1 - v, so that the largest values come from v near 0, where v is exact. With one bit more, v
// could round to 1.
double TokenNoise::Gumbel(uint64_t bits) {
  const double v = (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
  return -std::log(-std::log1p(-v));
}

// -log1p(-v) >= v >= 2^-(n + 1), n leading zeros (of 52 or more: v = 2^-53).
double TokenNoise::GumbelBound(uint64_t bits) {
  return (std::countl_zero(bits) + 1) * std::numbers::ln2;
}

Draw GreedyDraw(device::Stream& stream, const LogitShard& shard) {
  if (shard.logits.empty()) return NoDraw();
  kernels::ValueIndex best;
  kernels::Argmax(stream, RowView(shard), {&best, 1});
  if (!(best.value > kMinusInfinity)) return NoDraw();
  return {double{best.value}, shard.first_id + static_cast<int32_t>(best.index)};
}

Draw NoiseDraw(device::Stream& stream, const LogitShard& shard, const SampleRow& row) {
  const TokenNoise noise(row.options->seed, row.sequence, row.position);
  return Reduce(
      stream, static_cast<int64_t>(shard.logits.size()), NoDraw(),
      [&](int64_t begin, int64_t end) {
        return NoiseDrawOfRange(shard, begin, end, row.options->temperature, noise);
      },
      [](Draw& best, const Draw& part) { best = Better(best, part); });
}

Draw NoiseDraw(std::span<const Candidate> candidates, const SampleRow& row) {
  const TokenNoise noise(row.options->seed, row.sequence, row.position);
  Draw best = NoDraw();
  for (const Candidate& candidate : candidates) {
    const double scaled = double{candidate.logit} / row.options->temperature;
    best = Better(best, {scaled + TokenNoise::Gumbel(noise.Bits(candidate.id)), candidate.id});
  }
  return best;
}

std::vector<Candidate> TopCandidates(device::Stream& stream, const LogitShard& shard,
                                     int64_t count) {
  std::vector<Candidate> candidates;
  if (shard.logits.empty()) return candidates;
  for (const kernels::ValueIndex& top : kernels::TopK(stream, RowView(shard), count)) {
    if (!(top.value > kMinusInfinity)) break;
    candidates.push_back({top.value, shard.first_id + static_cast<int32_t>(top.index)});
  }
  return candidates;
}

WeightSum SumWeights(device::Stream& stream, const LogitShard& shard, float largest,
                     double temperature) {
  const double scale = ExponentScale(temperature);
  const WeightSum empty = WeightSum::ForLargest(double{largest} * scale);
  if (!(largest > kMinusInfinity)) return empty;
  return Reduce(
      stream, static_cast<int64_t>(shard.logits.size()), empty,
      [&](int64_t begin, int64_t end) {
        WeightSum sum = empty;
        for (int64_t column = begin; column < end; ++column) {
          sum.Add(double{shard.logits[static_cast<size_t>(column)]} * scale);
        }
        return sum;
      },
      [](WeightSum& sum, const WeightSum& part) { sum.Merge(part); });
}

std::optional<size_t> CountKept(std::span<const Candidate> prefix, bool whole, const WeightSum* all,
                                const SamplingOptions& options) {
  size_t limit = prefix.size();
  bool decided = whole;  // what lies behind `limit` is known to be dropped
  if (options.top_k > 0 && static_cast<uint64_t>(options.top_k) <= prefix.size()) {
    limit = static_cast<size_t>(options.top_k);
    decided = true;
  }
  if (limit == 0) return decided ? std::optional<size_t>(0) : std::nullopt;
  const double scale = ExponentScale(options.temperature);
  const double largest = double{prefix[0].logit} * scale;
  const WeightSum unit = all != nullptr ? *all : WeightSum::ForLargest(largest);

  double nucleus = std::numeric_limits<double>::infinity();  // weight that top-p asks for
  if (options.top_p < 1.0) {
    double total = 0.0;
    if (options.top_k > 0) {
      if (!decided) return std::nullopt;
      for (size_t i = 0; i < limit; ++i) total += unit.WeightOf(double{prefix[i].logit} * scale);
    } else {
      AUTODIST_CHECK(all != nullptr);
      total = all->Total();
    }
    nucleus = options.top_p * total;
  }

  double before = 0.0;  // weight of the tokens already kept
  for (size_t i = 0; i < limit; ++i) {
    const double t = double{prefix[i].logit} * scale;
    if (i > 0 && (before >= nucleus || std::exp2(t - largest) < options.min_p)) return i;
    before += unit.WeightOf(t);
  }
  return decided || before >= nucleus ? std::optional<size_t>(limit) : std::nullopt;
}

}  // namespace autodist::infer
