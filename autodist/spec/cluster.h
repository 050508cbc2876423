// The machine or machines a plan is made for: what the cost and memory models need to know of them.
#ifndef AUTODIST_SPEC_CLUSTER_H_
#define AUTODIST_SPEC_CLUSTER_H_

#include <cstdint>
#include <vector>

namespace autodist::spec {

struct Cluster {
  int cores = 1;  // usable cores of one host
  std::vector<uint64_t> rank_memory_bytes =
      {};  // per rank, or one value for all; empty: unknown, nothing is refused
  double read_bytes_per_s = 0.0;  // memory read rate of one host, all cores together
  double flops_per_s =
      0.0;  // matrix-product rate of one host in the compute dtype, all cores together
  double link_latency_s = 0.0;    // of one collective between ranks
  double link_bytes_per_s = 0.0;  // between two ranks
};

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_CLUSTER_H_
