// Exercise 3: a decoder layer over several ranks, made of the linear layers of exercise 1. Write
// exercise3.cc.
#ifndef DOCS_EXERCISES_LAYER_PARALLEL_H_
#define DOCS_EXERCISES_LAYER_PARALLEL_H_

#include <map>
#include <string>
#include <vector>

#include "autodist/comm/communicator.h"
#include "docs/exercises/decoder_layer.h"
#include "docs/exercises/matrix.h"

namespace autodist::exercises {

// A checkpoint that somebody has cut already. Names: "q_proj.weight", "q_proj.bias", ...,
// "down_proj.bias".
struct SplitWeights {
  // parts[name][rank]: weights of all seven layers, biases of the layers whose outputs are split.
  std::map<std::string, std::vector<Matrix>> parts;
  // whole[name]: biases of the layers whose inputs are split.
  std::map<std::string, Matrix> whole;
  int64_t head_dim = 0;
};

// The layer as rank comm.rank() of comm.size() holds it. Forward() of it takes the same x on every
// rank, gives the result of the whole layer on every rank, and communicates twice: once for
// attention, once for the feed-forward part. `comm` must outlive the layer.
DecoderLayer ParallelizeLayer(const SplitWeights& weights, comm::Communicator& comm);

}  // namespace autodist::exercises

#endif  // DOCS_EXERCISES_LAYER_PARALLEL_H_
