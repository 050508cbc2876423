#include "autodist/runtime/graph_cache.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/planner/memory_model.h"

namespace autodist::runtime {

GraphCache::GraphCache(device::Accelerator& accelerator, device::Queue& queue,
                       const std::vector<int64_t>& buckets, Step step, uint64_t limit_bytes)
    : accelerator_(accelerator), queue_(queue), step_(std::move(step)), limit_bytes_(limit_bytes) {
  AUTODIST_CHECK(std::is_sorted(buckets.begin(), buckets.end()));
  for (const int64_t rows : buckets) {
    GraphBucket bucket;
    bucket.rows = rows;
    step_(rows);
    Capture(bucket);
    buckets_.push_back(std::move(bucket));
  }
}

void GraphCache::Capture(GraphBucket& bucket) {
  const uint64_t free_before = accelerator_.memory().free_bytes;
  std::unique_ptr<device::Graph> graph;
  try {
    graph = queue_.Capture([&] { step_(bucket.rows); });
  } catch (const device::DeviceLost&) {
    throw;
  } catch (const core::Error& error) {
    bucket.reason = error.what();
    return;
  }
  // Memory that others give back meanwhile hides what the graph takes: then it counts as nothing.
  const uint64_t free_after = accelerator_.memory().free_bytes;
  const uint64_t taken = free_before - std::min(free_before, free_after);
  const uint64_t left = limit_bytes_ - bytes();
  if (taken > left) {
    bucket.reason = fmt::format("its graph takes {}, of the {} for graphs {} are left",
                                planner::FormatBytes(taken), planner::FormatBytes(limit_bytes_),
                                planner::FormatBytes(left));
    return;
  }
  bucket.bytes = taken;
  bucket.graph = std::move(graph);
}

const GraphBucket* GraphCache::Find(int64_t rows) const {
  const auto bucket =
      std::lower_bound(buckets_.begin(), buckets_.end(), rows,
                       [](const GraphBucket& one, int64_t wanted) { return one.rows < wanted; });
  return bucket == buckets_.end() ? nullptr : &*bucket;
}

int64_t GraphCache::PaddedRows(int64_t rows) const {
  const GraphBucket* const bucket = Find(rows);
  return bucket == nullptr || bucket->graph == nullptr ? rows : bucket->rows;
}

void GraphCache::Run(int64_t rows) {
  const GraphBucket* const bucket = Find(rows);
  if (bucket != nullptr && bucket->rows == rows && bucket->graph != nullptr) {
    queue_.Launch(*bucket->graph);
  } else {
    step_(rows);
  }
}

uint64_t GraphCache::bytes() const {
  uint64_t sum = 0;
  for (const GraphBucket& bucket : buckets_) sum += bucket.bytes;
  return sum;
}

std::string GraphCache::Report() const {
  size_t captured = 0;
  std::string without;
  for (const GraphBucket& bucket : buckets_) {
    captured += bucket.graph != nullptr ? 1 : 0;
    if (bucket.graph == nullptr)
      without += fmt::format("; none for {} row{}: {}", bucket.rows, bucket.rows == 1 ? "" : "s",
                             bucket.reason);
  }
  return fmt::format("graphs for {} of {} batch sizes, {}{}", captured, buckets_.size(),
                     planner::FormatBytes(bytes()), without);
}

}  // namespace autodist::runtime
