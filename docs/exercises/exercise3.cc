// Exercise 3: a decoder layer over several ranks. layer_parallel.h says what is asked.
#include "docs/exercises/layer_parallel.h"

namespace autodist::exercises {

DecoderLayer ParallelizeLayer(const SplitWeights& weights, comm::Communicator& comm) {
  // Your code: for each of the seven linear layers decide between ColumnParallelLinear and
  // RowParallelLinear, and give it the part of rank comm.rank().
  static_cast<void>(comm);
  DecoderLayer layer;
  layer.head_dim = weights.head_dim;
  return layer;
}

}  // namespace autodist::exercises
