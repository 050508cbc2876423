// Which mesh: every tp x pp of a number of ranks, compared by predicted time.
#ifndef AUTODIST_PLANNER_MESH_SEARCH_H_
#define AUTODIST_PLANNER_MESH_SEARCH_H_

#include <string>
#include <vector>

#include "autodist/planner/outline.h"
#include "autodist/planner/planner.h"

namespace autodist::planner {

struct MeshChoice {
  Outline outline;
  std::vector<std::string> reasons;  // why this one, and the runner-up
};

// For request.ranks: the mesh that fits memory with the smallest predicted time. When none fits,
// the one that comes closest (the caller refuses it). `cluster` is complete. Throws core::Error
// (bad input) when no tp * pp == ranks cuts the model.
MeshChoice ChooseMesh(const spec::ModelConfig& config, const spec::Cluster& cluster,
                      const PlanRequest& request);

// For a given mesh: its own prediction, and that of the best other mesh of as many ranks.
MeshChoice KeepMesh(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request);

// Throws core::Error (bad input) when a rank needs more than its memory: what for, which part does
// not fit, the largest context that would and, where all ranks have the same memory, the smallest
// number of ranks on which this request fits.
void RefuseOverfull(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request, const Outline& outline);

}  // namespace autodist::planner

#endif  // AUTODIST_PLANNER_MESH_SEARCH_H_
