// Exercise 2: one layer of a pipeline. Write exercise2.cc.
#ifndef DOCS_EXERCISES_PIPELINE_LAYER_H_
#define DOCS_EXERCISES_PIPELINE_LAYER_H_

#include <functional>
#include <utility>

#include "autodist/comm/communicator.h"
#include "docs/exercises/matrix.h"

namespace autodist::exercises {

// A decoder layer, seen from outside: hidden states in, hidden states of the same shape out.
using Layer = std::function<Matrix(const Matrix& hidden)>;

// Where this rank stands. Ranks are numbered stage by stage, and each stage has `tp` of them:
//   rank = stage * tp + tp_index
struct PipelinePlace {
  int stage = 0;
  int stages = 1;
  int tp = 1;
};

// A layer which knows whether it opens or closes its stage. Only there does anything travel between
// ranks.
class PipelineLayer {
 public:
  // `layer_index` counts from the start of the stage. `comm` is the group of all ranks; it must
  // outlive the layer.
  PipelineLayer(Layer layer, int layer_index, bool is_first, bool is_last,
                const PipelinePlace& place, comm::Communicator& comm)
      : layer_(std::move(layer)),
        layer_index_(layer_index),
        is_first_(is_first),
        is_last_(is_last),
        place_(place),
        comm_(&comm) {}

  // Runs the layer and returns its output.
  // The first layer of a stage, unless it is stage 0, gets its input from the stage before:
  // `hidden` then only tells its shape. The last layer of a stage, unless it is the last stage,
  // also sends its output to the stage after. Every rank talks to the rank with its own tp_index.
  Matrix Forward(const Matrix& hidden);

  int layer_index() const { return layer_index_; }
  bool is_first() const { return is_first_; }
  bool is_last() const { return is_last_; }

 private:
  Layer layer_;
  int layer_index_;
  bool is_first_;
  bool is_last_;
  PipelinePlace place_;
  comm::Communicator* comm_;  // a pointer, so that layers can be kept in a vector
};

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_PIPELINE_LAYER_H_
