// Exercise 4: cutting a model into stages, and building one of them. Write exercise4.cc.
#ifndef DOCS_EXERCISES_STAGE_H_
#define DOCS_EXERCISES_STAGE_H_

#include <vector>

#include "autodist/comm/communicator.h"
#include "docs/exercises/pipeline_layer.h"

namespace autodist::exercises {

// Layers [layers_start, layers_end) of the model.
struct StageRange {
  int layers_start = 0;
  int layers_end = 0;
  bool operator==(const StageRange&) const = default;
};

// Cuts `layers` layers into `stages` ranges: in order, without a gap, every layer in exactly one of
// them, sizes differing by at most one with the longer ones first. REQUIRES 1 <= stages <= layers.
std::vector<StageRange> CutIntoStages(int layers, int stages);

// The layers of `range`, each wrapped so that together they are stage place.stage of the pipeline.
std::vector<PipelineLayer> BuildStage(const std::vector<Layer>& model_layers,
                                      const StageRange& range, const PipelinePlace& place,
                                      comm::Communicator& comm);

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_STAGE_H_
