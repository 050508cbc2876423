// Solution of exercise 3; solutions.md explains it.
#include <memory>
#include <string>

#include "docs/exercises/layer_parallel.h"

namespace autodist::exercises {

DecoderLayer ParallelizeLayer(const SplitWeights& weights, comm::Communicator& comm) {
  const auto part = [&](const std::string& name) -> const Matrix& {
    return weights.parts.at(name).at(static_cast<size_t>(comm.rank()));
  };
  const auto column = [&](const std::string& name) {
    return std::make_unique<ColumnParallelLinear>(part(name + ".weight"), part(name + ".bias"),
                                                  /*gather_output=*/false, comm);
  };
  const auto row = [&](const std::string& name) {
    return std::make_unique<RowParallelLinear>(part(name + ".weight"),
                                               weights.whole.at(name + ".bias"), comm);
  };
  DecoderLayer layer;
  layer.head_dim = weights.head_dim;
  layer.q_proj = column("q_proj");
  layer.k_proj = column("k_proj");
  layer.v_proj = column("v_proj");
  layer.o_proj = row("o_proj");
  layer.gate_proj = column("gate_proj");
  layer.up_proj = column("up_proj");
  layer.down_proj = row("down_proj");
  return layer;
}

}  // namespace autodist::exercises
