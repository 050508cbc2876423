// The tp axis: which heads, feed-forward columns and vocabulary rows each tp index computes.
#ifndef AUTODIST_PLANNER_PARTITION_H_
#define AUTODIST_PLANNER_PARTITION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

struct Partition {
  std::vector<spec::TpShare> shares;  // by tp index
  int64_t ffn_granularity = 1;        // shares of the ffn are multiples of it
  int64_t vocab_rows = 0;             // rows of the vocabulary per rank, the padding included
  int64_t padded_vocab_size = 0;      // vocab_rows * tp
};

// Cuts every layer, and the vocabulary, over `tp` ranks. With n query heads in g groups of m that
// share a kv head:
//
//   heads  g >= tp: whole groups, counts differ by one at most, larger first. g < tp: query heads,
//   counts differ by one
//          at most, larger first; a rank holds every kv head that its query heads read, so a kv
//          head (and its cache) that several ranks read lies on each of them.
//   ffn    multiples of 64, else 16, else 2, else 1: the largest that divides ffn_size and keeps
//   the largest share
//          within 1/8 of the mean; what is left over goes to the last ranks.
//   vocab  ceil(V / (tp * pad)) * pad rows each. pad is 64 or, for a small vocabulary, the largest
//   power of two that
//          keeps the rows of a rank within 1/8 of the mean. Ranges are clipped to V.
//
// Ranges of q heads, ffn and vocab tile [0, n), [0, ffn_size) and [0, V) in order of the tp index.
// Throws core::Error (bad input) with the sizes that work unless 1 <= tp <= min(n, ffn_size).
Partition PartitionModel(const spec::ModelConfig& config, int tp);

// Whether every rank computes the same number of heads and holds the same number of kv heads.
bool HeadsDivideEvenly(const spec::ModelConfig& config, int tp);

// "1, 2, 7, 14 (evenly), any other up to 14 (unevenly)"
std::string LegalTpSizes(const spec::ModelConfig& config);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_PARTITION_H_
