// A mesh applied to a model: shares, stages and bytes of every rank, without the list of tensors.
// Cheap enough to make one for every mesh that could be chosen.
#ifndef AUTODIST_PLANNER_OUTLINE_H_
#define AUTODIST_PLANNER_OUTLINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/planner/memory_model.h"
#include "autodist/planner/partition.h"
#include "autodist/planner/planner.h"
#include "autodist/spec/cluster.h"
#include "autodist/spec/model_config.h"
#include "autodist/spec/parallel_plan.h"

namespace autodist::planner {

struct Outline {
  spec::Mesh mesh;
  RunShape shape;
  Partition partition;
  std::vector<spec::Range> stage_layers;  // by stage
  std::vector<spec::RankBytes> bytes;     // by rank; `read` is 0

  RankPart PartOf(int rank) const;
};

// Throws core::Error (bad input) when the mesh cannot cut the model, or the layout does not fit it.
// Memory is not checked.
Outline MakeOutline(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request, const spec::Mesh& mesh);

// Memory of one rank; 0 when unknown. REQUIRES: rank_memory_bytes has 0, 1 or world entries, none
// of them 0.
uint64_t RankMemory(const spec::Cluster& cluster, int rank);

// The first rank that needs more than it has, or -1.
int FirstOverfullRank(const Outline& outline, const spec::Cluster& cluster);

// The largest max_model_len, up to `limit`, at which every rank of the outline fits; 0 when none
// does.
int64_t LargestContextThatFits(const spec::ModelConfig& config, const Outline& outline,
                               const spec::Cluster& cluster, int64_t limit);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_OUTLINE_H_
