// What one rank of a mesh can do on a cluster: its share of its host's rates.
#ifndef AUTODIST_PLANNER_RATES_H_
#define AUTODIST_PLANNER_RATES_H_

#include <span>

#include "autodist/spec/cluster.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

// `cluster` with the rates of a typical present-day host of that many cores where the first two,
// or the next two, of its rates are both 0 (unknown): 8 GB/s read and 30 GFLOP/s per core, 5 us
// and 4 GB/s between ranks. Of the others, 0 stays for "free", or becomes what spec/cluster.h
// says. Throws core::Error (bad input) when one of two is given and the other is not a positive,
// finite number, another rate is negative or not finite, cores < 1 or hosts < 1.
spec::Cluster CompleteCluster(const spec::Cluster& cluster);

// Whether the rates of the host are unknown, so that CompleteCluster fills them in.
bool RatesUnknown(const spec::Cluster& cluster);

// A rank owns cores / ranks of its host. Of what the host reads and computes it gets the share that
// its cores have, but at most an equal part among the ranks that work at once; reading weights
// and cache, it gets what its cores read alone while the others leave memory to it.
class RankRates {
 public:
  // REQUIRES: `cluster` is complete (CompleteCluster) and outlives this; at most `calls_in_flight`
  // stages are busy at once.
  RankRates(const spec::Mesh& mesh, const spec::Cluster& cluster, double calls_in_flight);

  // Seconds of products of `rows` rows with `weights` weights that take `bytes`. Reading takes
  // bytes / rate; what more rows take beyond that, `products` of the cluster says (between its
  // rows: in proportion; beyond them: as the last). Without `products`: bytes / rate or flops /
  // rate, whichever is longer.
  double Products(double rows, double weights, double bytes) const;

  // Seconds of attention of many rows: `scores` are the pairs of a query and a key it sees, over
  // all heads, `queries` the rows of all heads.
  double Attention(double queries, double scores, double head_dim) const;

  // Seconds of attention of single tokens, their own keys and values written first, that see `keys`
  // positions each; for each of these positions all tokens together read `key_bytes` and compute
  // `key_flops`.
  double CachedAttention(double keys, double key_bytes, double key_flops) const;

  // Seconds in which many rows write their keys and values (`written_bytes`: f32 read, the compute
  // dtype written) and read all that they see once.
  double Cache(double read_bytes, double written_bytes) const;

  // Seconds of norms and the like that read and write `bytes` of activations.
  double Rows(double bytes) const;

  // Seconds of `count` kernels beside their work.
  double Operations(double count) const;

  // Seconds that a rank waits for the latest of its group, which it meets so many times while it
  // computes for `seconds`, `rows` rows at a time.
  double Wait(double rows, double seconds, double meetings) const;

 private:
  double WeightSeconds(double rows) const;  // of the whole host, per weight

  const spec::Cluster& cluster_;
  double share_;       // of the host's computing
  double read_share_;  // of its reading
};

// REQUIRES: the cluster it comes from outlives it.
struct Link {
  double latency_s;
  double bytes_per_s;
  std::span<const spec::CollectiveTime> measured;  // by moved bytes, ascending; may be empty

  // Seconds of a collective that moves so many bytes to and from each rank, in `steps` that wait
  // for each other: as measured (between its sizes: in proportion; beyond them: as the last);
  // without measurements, a latency for each step and moved_bytes / bytes_per_s.
  double Seconds(double moved_bytes, int steps = 1) const;
};

// Between ranks first, ..., last: the link within a host when all are on one, else the one between
// hosts.
Link LinkBetween(const spec::Mesh& mesh, const spec::Cluster& cluster, int first, int last);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_RATES_H_
