#include "autodist/infer/distributed_sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::infer {
namespace {

constexpr int64_t kFirstCandidates = 64;
constexpr int64_t kCandidateGrowth = 4;

// What a rank says about a row that a single token decides.
struct DrawMessage {
  double key;
  int32_t id;
  int32_t unused;
};

// What precedes a rank's candidates.
struct CandidatesHeader {
  int32_t count;  // of the slots that follow, those in use
  int32_t more;   // 1: the shard may hold further finite logits
};

// A row under way: the ranks agree on all of it but `largest`.
struct PendingRow {
  size_t row = 0;
  int64_t slots = 0;  // candidates per rank; 0: the row is decided by a draw per rank
  bool send_weights = false;
  std::optional<WeightSum> all;  // received

  size_t bytes() const {
    if (slots == 0) return sizeof(DrawMessage);
    return sizeof(CandidatesHeader) + static_cast<size_t>(slots) * sizeof(Candidate) +
           (send_weights ? sizeof(WeightSum) : 0);
  }
};

template <typename T>
void Put(uint8_t*& at, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(at, &value, sizeof(T));
  at += sizeof(T);
}

template <typename T>
T Take(const uint8_t*& at) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::array<uint8_t, sizeof(T)> bytes;
  std::memcpy(bytes.data(), at, sizeof(T));
  at += sizeof(T);
  return std::bit_cast<T>(bytes);
}

PendingRow FirstRound(size_t index, const SamplingOptions& options, int64_t vocab_size) {
  PendingRow pending;
  pending.row = index;
  if (options.greedy() || options.keeps_all()) return pending;
  pending.slots = std::min(options.top_k > 0 ? options.top_k : kFirstCandidates, vocab_size);
  pending.send_weights = options.top_k <= 0 && options.top_p < 1.0;
  return pending;
}

// Writes this rank's part of a row; `to` has pending.bytes() zeros.
void WritePart(device::Stream& stream, const PendingRow& pending, const SampleRow& row,
               const LogitShard& shard, uint8_t* to) {
  if (pending.slots == 0) {
    const Draw draw =
        row.options->greedy() ? GreedyDraw(stream, shard) : NoiseDraw(stream, shard, row);
    Put(to, DrawMessage{draw.key, draw.id, 0});
    return;
  }
  const std::vector<Candidate> candidates = TopCandidates(stream, shard, pending.slots);
  const int64_t count = static_cast<int64_t>(candidates.size());
  const bool more = count == pending.slots && count < static_cast<int64_t>(shard.logits.size());
  Put(to, CandidatesHeader{static_cast<int32_t>(count), more ? 1 : 0});
  if (pending.send_weights) {
    const float largest =
        candidates.empty() ? -std::numeric_limits<float>::infinity() : candidates[0].logit;
    Put(to, SumWeights(stream, shard, largest, row.options->temperature));
  }
  for (const Candidate& candidate : candidates) Put(to, candidate);
}

// The beginning of the canonical order, as far as the ranks' candidates establish it.
struct KnownPrefix {
  std::vector<Candidate> tokens;
  bool whole = true;  // no rank has more
};

// `parts`: each rank's part of the row.
KnownPrefix ReadCandidates(PendingRow& pending, std::span<const uint8_t* const> parts) {
  KnownPrefix prefix;
  std::optional<Candidate> known_until;  // a rank with more may hold anything after its last one
  for (const uint8_t* at : parts) {
    const auto header = Take<CandidatesHeader>(at);
    if (pending.send_weights) {
      const auto weights = Take<WeightSum>(at);
      if (pending.all.has_value()) {
        pending.all->Merge(weights);
      } else {
        pending.all = weights;
      }
    }
    for (int32_t i = 0; i < header.count; ++i) prefix.tokens.push_back(Take<Candidate>(at));
    if (header.more == 0) continue;
    prefix.whole = false;
    const Candidate last = prefix.tokens.back();
    if (!known_until.has_value() || Before(last, *known_until)) known_until = last;
  }
  std::sort(prefix.tokens.begin(), prefix.tokens.end(), Before);
  if (known_until.has_value()) {
    prefix.tokens.erase(
        std::upper_bound(prefix.tokens.begin(), prefix.tokens.end(), *known_until, Before),
        prefix.tokens.end());
  }
  return prefix;
}

// The row's token, or nullopt when more candidates are needed.
std::optional<Draw> Decide(PendingRow& pending, const SampleRow& row,
                           std::span<const uint8_t* const> parts) {
  if (pending.slots == 0) {
    Draw best = NoDraw();
    for (const uint8_t* at : parts) {
      const auto message = Take<DrawMessage>(at);
      best = Better(best, {message.key, message.id});
    }
    return best;
  }
  const KnownPrefix prefix = ReadCandidates(pending, parts);
  const std::span<const Candidate> tokens = prefix.tokens;
  if (tokens.empty() || !std::isfinite(tokens[0].logit)) return NoDraw();
  const WeightSum* all = pending.all.has_value() ? &*pending.all : nullptr;
  const std::optional<size_t> kept = CountKept(tokens, prefix.whole, all, *row.options);
  if (!kept.has_value()) return std::nullopt;
  return NoiseDraw(tokens.first(*kept), row);
}

// Reads what the ranks said (`whole`, part_bytes each), stores the tokens of the rows that are
// decided, and returns the other rows, which need a further round.
std::vector<PendingRow> FinishRows(std::vector<PendingRow> pending, std::span<const SampleRow> rows,
                                   std::span<const uint8_t> whole, size_t part_bytes,
                                   int64_t vocab_size, std::vector<int32_t>& tokens) {
  std::vector<const uint8_t*> parts;
  for (size_t at = 0; at < whole.size(); at += part_bytes) parts.push_back(&whole[at]);
  std::vector<PendingRow> unfinished;
  for (PendingRow& row : pending) {
    const size_t bytes = row.bytes();
    const SampleRow& sample = rows[row.row];
    const std::optional<Draw> draw = Decide(row, sample, parts);
    for (const uint8_t*& at : parts) at += bytes;
    if (!draw.has_value()) {
      row.slots = std::min(row.slots * kCandidateGrowth, vocab_size);
      row.send_weights = false;
      unfinished.push_back(row);
      continue;
    }
    if (draw->id < 0 || !std::isfinite(draw->key)) {
      throw core::RuntimeFailure(
          "prompt {}, output token {}: no token can be chosen, because the logits have no finite "
          "largest value (NaN or infinity in the weights or in the arithmetic of this dtype)",
          sample.sequence, sample.position);
    }
    tokens[row.row] = draw->id;
  }
  return unfinished;
}

}  // namespace

DistributedSampler::DistributedSampler(comm::Communicator& tp_group, spec::Range vocab,
                                       int64_t vocab_size)
    : tp_group_(tp_group),
      vocab_(vocab),
      vocab_size_(vocab_size),
      seen_(static_cast<size_t>(vocab.size())) {
  AUTODIST_CHECK_GE(vocab.first, 0);
  AUTODIST_CHECK_LE(vocab.first, vocab.last);
  AUTODIST_CHECK_LE(vocab.last, vocab_size);
  AUTODIST_CHECK_LE(vocab_size, int64_t{INT32_MAX});
}

std::vector<int32_t> DistributedSampler::Sample(device::Stream& stream, core::TensorView logits_BV,
                                                std::span<const SampleRow> rows) {
  AUTODIST_CHECK_EQ(logits_BV.rows(), static_cast<int64_t>(rows.size()));
  AUTODIST_CHECK_GE(logits_BV.cols(), vocab_.size());
  const device::OpScope op(stream.log(), [&] {
    return device::OpCost{
        .kind = device::OpKind::kSampling, .name = "sample", .rows = logits_BV.rows()};
  });
  const auto shard_of = [&](size_t row) {
    float* logits = logits_BV.row<float>(static_cast<int64_t>(row));
    return LogitShard{{logits, seen_.size()}, static_cast<int32_t>(vocab_.first)};
  };
  std::vector<PendingRow> pending;
  for (size_t i = 0; i < rows.size(); ++i) {
    ProcessLogits(rows[i], shard_of(i), seen_);
    pending.push_back(FirstRound(i, *rows[i].options, vocab_size_));
  }

  std::vector<int32_t> tokens(rows.size());
  while (!pending.empty()) {
    size_t part_bytes = 0;
    for (const PendingRow& row : pending) part_bytes += row.bytes();
    std::vector<uint8_t> part(part_bytes);
    uint8_t* to = part.data();
    for (const PendingRow& row : pending) {
      WritePart(stream, row, rows[row.row], shard_of(row.row), to);
      to += row.bytes();
    }
    std::vector<uint8_t> whole(part_bytes * static_cast<size_t>(tp_group_.size()));
    tp_group_
        .AllGather(core::ConstTensorView(part.data(), 1, static_cast<int64_t>(part_bytes)),
                   core::TensorView(whole.data(), 1, static_cast<int64_t>(whole.size())))
        .Wait();
    pending = FinishRows(std::move(pending), rows, whole, part_bytes, vocab_size_, tokens);
  }
  return tokens;
}

}  // namespace autodist::infer
