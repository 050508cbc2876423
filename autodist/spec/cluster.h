// The machine or machines a plan is made for: what the cost and memory models need to know of them.
#ifndef AUTODIST_SPEC_CLUSTER_H_
#define AUTODIST_SPEC_CLUSTER_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::spec {

// Rows of a chunk of a prompt: what "many rows" means where rates are measured and used.
inline constexpr int64_t kManyRows = 512;

// How many weights products of `rows` rows of inputs work through.
struct ProductRate {
  int64_t rows = 1;
  double weights_per_s = 0.0;
};

// How long a sum over ranks takes that moves so many bytes to and from each of them.
struct CollectiveTime {
  int64_t moved_bytes = 1;
  double seconds = 0.0;
};

// Hosts that are alike; ranks are spread over them evenly, in rank order. Rates are those of one
// host, all its ranks at work together, at the work of a model (measure/calibration.h); 0: unknown.
struct Cluster {
  int cores = 1;  // usable cores of one host
  int hosts = 1;
  std::vector<uint64_t> rank_memory_bytes =
      {};  // per rank, or one value for all; empty: unknown, nothing is refused

  // Without the first two nothing is known (planner/rates.h: CompleteCluster).
  double read_bytes_per_s = 0.0;  // reading weights, one row of inputs at a time
  double flops_per_s = 0.0;       // matrix products of many rows in the compute dtype
  double link_latency_s = 0.0;    // of one collective between ranks of one host
  double link_bytes_per_s = 0.0;  // between two ranks of one host

  // What refines them.
  double core_read_bytes_per_s = 0.0;      // one core while the others are idle; 0: its part of the
                                           // host's
  std::vector<ProductRate> products = {};  // by rows, ascending; empty: as read_bytes_per_s and
                                           // flops_per_s bound them
  double attention_flops_per_s = 0.0;      // scores and mixing of many rows; 0: as matrix products
  double attention_scores_per_s = 0.0;     // softmax: scores, of one query and key each; 0: free
  double attention_extra_keys = 0.0;       // what a query takes beside its keys, in keys
  double cache_write_bytes_per_s = 0.0;    // many keys and values to the cache; 0: free
  double cache_extra_keys = 0.0;           // what a token takes of a key-value head beside the
                                           // cached positions it sees, in positions
  double cache_bytes_per_s = 0.0;          // attention of single tokens: reads; 0: as of weights
  double cache_flops_per_s = 0.0;          // and computing; 0: free
  double row_bytes_per_s = 0.0;  // norms, activations, sums: bytes of activations; 0: they are free
  double operation_s = 0.0;      // one kernel on next to no data, the meeting of threads included
  // What a rank waits for the latest of its group when they meet: a time of its own, and a part of
  // the time since they last met, computing one row and many rows at a time. Where ranks outnumber
  // the cores, wait_s is 0, and the part is what meeting adds to that time.
  double wait_s = 0.0;
  double wait_fraction_one_row = 0.0;
  double wait_fraction_many_rows = 0.0;
  double host_link_latency_s = 0.0;    // between ranks of two hosts; 0: as within a host
  double host_link_bytes_per_s = 0.0;  // 0: as within a host
  // By moved bytes, ascending, within a host and between hosts; empty: as the link's latency and
  // rate say. A link is not one latency and one rate: messages of different sizes travel by
  // different protocols, and small ones may pass where many together would queue.
  std::vector<CollectiveTime> collectives = {};
  std::vector<CollectiveTime> host_collectives = {};
};

// Every rate of Cluster, by the name of its field.
struct ClusterRate {
  const char* name;
  double Cluster::*value;
};
inline constexpr std::array kClusterRates = {
    ClusterRate{"read_bytes_per_s", &Cluster::read_bytes_per_s},
    ClusterRate{"core_read_bytes_per_s", &Cluster::core_read_bytes_per_s},
    ClusterRate{"flops_per_s", &Cluster::flops_per_s},
    ClusterRate{"attention_flops_per_s", &Cluster::attention_flops_per_s},
    ClusterRate{"attention_scores_per_s", &Cluster::attention_scores_per_s},
    ClusterRate{"attention_extra_keys", &Cluster::attention_extra_keys},
    ClusterRate{"cache_write_bytes_per_s", &Cluster::cache_write_bytes_per_s},
    ClusterRate{"cache_extra_keys", &Cluster::cache_extra_keys},
    ClusterRate{"cache_bytes_per_s", &Cluster::cache_bytes_per_s},
    ClusterRate{"cache_flops_per_s", &Cluster::cache_flops_per_s},
    ClusterRate{"row_bytes_per_s", &Cluster::row_bytes_per_s},
    ClusterRate{"operation_s", &Cluster::operation_s},
    ClusterRate{"wait_s", &Cluster::wait_s},
    ClusterRate{"wait_fraction_one_row", &Cluster::wait_fraction_one_row},
    ClusterRate{"wait_fraction_many_rows", &Cluster::wait_fraction_many_rows},
    ClusterRate{"link_latency_s", &Cluster::link_latency_s},
    ClusterRate{"link_bytes_per_s", &Cluster::link_bytes_per_s},
    ClusterRate{"host_link_latency_s", &Cluster::host_link_latency_s},
    ClusterRate{"host_link_bytes_per_s", &Cluster::host_link_bytes_per_s}};

// All but the memory, which is the run's.
core::Json ToJson(const Cluster& cluster);

// What ToJson() wrote, e.g. by `autodist calibrate`; fields that are missing keep their defaults,
// unknown ones are refused. Throws core::Error (bad input) naming `source` and the field. The rates
// are checked where they are used.
Cluster ParseCluster(const core::Json& document, std::string_view source);

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_CLUSTER_H_
