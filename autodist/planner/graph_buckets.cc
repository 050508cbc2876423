#include "autodist/planner/graph_buckets.h"

#include <algorithm>

#include "autodist/core/check.h"

namespace autodist::planner {

std::vector<int64_t> DecodeBuckets(int64_t max_rows) {
  AUTODIST_CHECK_GE(max_rows, 1);
  constexpr int64_t kUnit = 8;
  std::vector<int64_t> buckets;
  for (int64_t rows = 1; rows < max_rows;) {
    buckets.push_back(rows);
    rows += rows < kUnit ? rows : std::max(kUnit, rows / 4 / kUnit * kUnit);
  }
  buckets.push_back(max_rows);
  return buckets;
}

}  // namespace autodist::planner
