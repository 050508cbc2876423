#include "autodist/planner/partition.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

using spec::Range;

// [0, total) in `parts` ranges whose sizes differ by one at most. The larger ones come first, or
// last.
std::vector<Range> SplitEvenly(int64_t total, int parts, bool larger_first) {
  const int64_t base = total / parts;
  const int64_t extra = total % parts;
  std::vector<Range> ranges;
  int64_t first = 0;
  for (int i = 0; i < parts; ++i) {
    const bool larger = larger_first ? i < extra : i >= parts - extra;
    const int64_t size = base + (larger ? 1 : 0);
    ranges.push_back({first, first + size});
    first += size;
  }
  AUTODIST_CHECK_EQ(first, total);
  return ranges;
}

void CutHeads(const spec::ModelConfig& config, int tp, std::vector<spec::TpShare>& shares) {
  const int64_t group = config.kv_group();
  const bool whole_groups = config.num_kv_heads >= tp;
  const auto ranges = SplitEvenly(whole_groups ? config.num_kv_heads : config.num_heads, tp, true);
  for (size_t i = 0; i < shares.size(); ++i) {
    spec::TpShare& share = shares[i];
    share.q_heads = ranges[i];
    if (whole_groups) share.q_heads = {ranges[i].first * group, ranges[i].last * group};
    share.kv_heads = {share.q_heads.first / group, (share.q_heads.last - 1) / group + 1};
    for (int64_t q = share.q_heads.first; q < share.q_heads.last; ++q)
      share.kv_head_of_q.push_back(static_cast<int32_t>(q / group - share.kv_heads.first));
  }
}

// Whether a largest share of `largest` is within 1/8 of the mean.
bool Balanced(int64_t largest, int64_t total, int tp) { return 8 * largest * tp <= 9 * total; }

int64_t FfnGranularity(int64_t ffn, int tp) {
  for (const int64_t unit : {64, 16, 2})
    if (ffn % unit == 0 && Balanced((ffn / unit + tp - 1) / tp * unit, ffn, tp)) return unit;
  return 1;
}

int64_t VocabRows(int64_t vocab, int tp) {
  for (int64_t pad = 64; pad > 1; pad /= 2) {
    const int64_t rows = (vocab + tp * pad - 1) / (tp * pad) * pad;
    if (Balanced(rows, vocab, tp)) return rows;
  }
  return (vocab + tp - 1) / tp;
}

}  // namespace

Partition PartitionModel(const spec::ModelConfig& config, int tp) {
  if (tp < 1 || tp > config.num_heads || tp > config.ffn_size)
    throw core::BadInput(
        "tensor_parallel_size {} cannot cut this model: it has {} attention heads and {} "
        "feed-forward "
        "columns, and each rank needs at least one; sizes that work: {}",
        tp, config.num_heads, config.ffn_size, LegalTpSizes(config));
  Partition partition;
  partition.shares.resize(static_cast<size_t>(tp));
  CutHeads(config, tp, partition.shares);
  partition.ffn_granularity = FfnGranularity(config.ffn_size, tp);
  const int64_t unit = partition.ffn_granularity;
  const auto ffn = SplitEvenly(config.ffn_size / unit, tp, false);
  partition.vocab_rows = VocabRows(config.vocab_size, tp);
  partition.padded_vocab_size = partition.vocab_rows * tp;
  for (size_t i = 0; i < partition.shares.size(); ++i) {
    const int64_t first = static_cast<int64_t>(i) * partition.vocab_rows;
    partition.shares[i].ffn = {ffn[i].first * unit, ffn[i].last * unit};
    partition.shares[i].vocab = {std::min(first, config.vocab_size),
                                 std::min(first + partition.vocab_rows, config.vocab_size)};
  }
  return partition;
}

bool HeadsDivideEvenly(const spec::ModelConfig& config, int tp) {
  if (config.num_kv_heads % tp == 0) return true;
  return tp % config.num_kv_heads == 0 && config.kv_group() % (tp / config.num_kv_heads) == 0;
}

std::string LegalTpSizes(const spec::ModelConfig& config) {
  const int64_t largest = std::min(config.num_heads, config.ffn_size);
  std::vector<int64_t> even;
  for (int64_t tp = 1; tp <= largest; ++tp)
    if (HeadsDivideEvenly(config, static_cast<int>(tp))) even.push_back(tp);
  std::string text = fmt::format("{} (evenly)", fmt::join(even, ", "));
  if (static_cast<int64_t>(even.size()) < largest)
    text += fmt::format(", any other up to {} (unevenly)", largest);
  return text;
}

}  // namespace autodist::planner
