// The machine or machines a plan is made for: what the cost and memory models need to know of them.
#ifndef AUTODIST_SPEC_CLUSTER_H_
#define AUTODIST_SPEC_CLUSTER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::spec {

// Hosts that are alike; ranks are spread over them evenly, in rank order. Rates are those of one
// host, all its cores together, at the work of a model (measure/calibration.h); 0: unknown.
struct Cluster {
  int cores = 1;  // usable cores of one host
  int hosts = 1;
  std::vector<uint64_t> rank_memory_bytes =
      {};  // per rank, or one value for all; empty: unknown, nothing is refused

  // Without these four nothing is known (planner/cost_model.h: CompleteCluster).
  double read_bytes_per_s = 0.0;  // reading weights, one row of inputs at a time
  double flops_per_s = 0.0;       // matrix products of many rows in the compute dtype
  double link_latency_s = 0.0;    // of one collective between ranks of one host
  double link_bytes_per_s = 0.0;  // between two ranks of one host

  // What refines them.
  double core_read_bytes_per_s = 0.0;  // one core while the others are idle; 0: its part of the
                                       // host's
  double attention_flops_per_s = 0.0;  // scores and mixing of many rows; 0: as matrix products
  double row_bytes_per_s = 0.0;  // norms, activations, sums: bytes of activations; 0: they are free
  double operation_s = 0.0;      // one kernel on next to no data, the meeting of threads included
  double host_link_latency_s = 0.0;    // between ranks of two hosts; 0: as within a host
  double host_link_bytes_per_s = 0.0;  // 0: as within a host
};

// All but the memory, which is the run's.
core::Json ToJson(const Cluster& cluster);

// What ToJson() wrote, e.g. by `autodist calibrate`; fields that are missing keep their defaults,
// unknown ones are refused. Throws core::Error (bad input) naming `source` and the field. The rates
// are checked where they are used.
Cluster ParseCluster(const core::Json& document, std::string_view source);

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_CLUSTER_H_
