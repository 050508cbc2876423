// The decode steps of one rank as captured graphs, one for each of a bounded set of batch sizes
// (planner/graph_buckets.h), so that the host starts one thing per step instead of every kernel.
//
// PipelineExecutor is to have one where its stage runs on an accelerator and graphs are wanted
// (--capture-graph); without kernels for GPUs only tests have. Thread-compatible: the rank's
// thread.
#ifndef AUTODIST_RUNTIME_GRAPH_CACHE_H_
#define AUTODIST_RUNTIME_GRAPH_CACHE_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "autodist/device/accelerator.h"

namespace autodist::runtime {

struct GraphBucket {
  int64_t rows = 0;
  std::unique_ptr<device::Graph> graph;  // null: steps of this size are queued kernel by kernel
  uint64_t bytes = 0;                    // of the device's memory, that the graph takes
  std::string reason;                    // why there is no graph
};

class GraphCache {
 public:
  // Queues a decode step of `rows` rows. REQUIRES of it:
  //   - what differs from step to step (token ids, positions, lengths of the cache, pages) it reads
  //     from device memory whose address stays, when it runs, not when it is queued. A graph is
  //     then right for caches of any length;
  //   - it does not wait, and allocates nothing after its first call for that many rows;
  //   - it works on any contents of the inputs that are zeroed, as they are while graphs are made.
  using Step = std::function<void(int64_t rows)>;

  // Queues each step once as it is, so that whatever starts late has started, then captures it,
  // small sizes first. A size whose capture fails, or that would take the graphs beyond
  // `limit_bytes`, does without a graph, and has a reason; the others are not touched by that. All
  // ranks of a group do this at the same time, as steps have collectives inside; whether a size has
  // a graph may differ between them. Throws core::Error when a step fails outside of a capture, and
  // DeviceLost. `buckets` ascend; queue and accelerator must outlive this.
  GraphCache(device::Accelerator& accelerator, device::Queue& queue,
             const std::vector<int64_t>& buckets, Step step,
             uint64_t limit_bytes = std::numeric_limits<uint64_t>::max());

  // The rows to run a step of `rows` sequences with: those of the next larger graph, or `rows`
  // itself where that size has none. The caller marks the rows beyond `rows` as padding, which must
  // not touch what belongs to a sequence: every slot of the cache may be in use.
  int64_t PaddedRows(int64_t rows) const;
  // Queues a step of exactly so many rows: as a graph where there is one of that size.
  void Run(int64_t rows);

  const std::vector<GraphBucket>& buckets() const { return buckets_; }
  uint64_t bytes() const;  // of all graphs
  // "graphs for 3 of 4 batch sizes, 12.0 MiB; none for 8 rows: <reason>"
  std::string Report() const;

 private:
  void Capture(GraphBucket& bucket);
  const GraphBucket* Find(int64_t rows) const;  // the next larger; null beyond the last

  device::Accelerator& accelerator_;
  device::Queue& queue_;
  const Step step_;
  const uint64_t limit_bytes_;
  std::vector<GraphBucket> buckets_;
};

}  // namespace autodist::runtime

#endif  // AUTODIST_RUNTIME_GRAPH_CACHE_H_
