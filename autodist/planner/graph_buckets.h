// The batch sizes that decode steps are captured for as graphs.
#ifndef AUTODIST_PLANNER_GRAPH_BUCKETS_H_
#define AUTODIST_PLANNER_GRAPH_BUCKETS_H_

#include <cstdint>
#include <vector>

namespace autodist::planner {

// Ascending, the last one `max_rows`: 1, 2, 4, 8, 16, 24, 32, then steps of a quarter, in multiples
// of 8. A step of n rows is padded to the next size: of more than 32 rows, less than a fifth are
// padding. Small sizes are dense because there the start of each kernel costs most. Their number
// grows with the logarithm: 18 sizes for 256 rows, 31 for 4096.
// runtime/graph_cache.h captures them, for at most the plan's micro_batch_size rows.
// REQUIRES max_rows >= 1.
std::vector<int64_t> DecodeBuckets(int64_t max_rows);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_GRAPH_BUCKETS_H_
