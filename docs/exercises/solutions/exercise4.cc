// Solution of exercise 4; solutions.md explains it.
#include <algorithm>

#include "docs/exercises/stage.h"

namespace autodist::exercises {

std::vector<StageRange> CutIntoStages(int layers, int stages) {
  const int shortest = layers / stages;
  const int longer = layers % stages;  // so many stages take one more
  std::vector<StageRange> ranges;
  for (int stage = 0; stage < stages; ++stage) {
    const int start = stage * shortest + std::min(stage, longer);
    ranges.push_back({start, start + shortest + (stage < longer ? 1 : 0)});
  }
  return ranges;
}

std::vector<PipelineLayer> BuildStage(const std::vector<Layer>& model_layers,
                                      const StageRange& range, const PipelinePlace& place,
                                      comm::Communicator& comm) {
  std::vector<PipelineLayer> stage;
  for (int i = range.layers_start; i < range.layers_end; ++i) {
    const bool is_first = i == range.layers_start;
    const bool is_last = i == range.layers_end - 1;
    stage.emplace_back(model_layers.at(static_cast<size_t>(i)), i - range.layers_start, is_first,
                       is_last, place, comm);
  }
  return stage;
}

}  // namespace autodist::exercises
